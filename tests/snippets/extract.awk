# Writes every ```cpp block that holds a whole program (an `int main`) to <out>/<page>_<number>.cpp,
# and prints the names. Usage: awk -v out=FOLDER -f extract.awk PAGE.md ...
FNR == 1 {
  page = FILENAME
  sub(/.*\//, "", page)
  sub(/\.md$/, "", page)
  number = 0
  inside = 0
}
/^```/ {
  if (inside && text ~ /int main\(/) {
    name = page "_" ++number
    printf "%s", text > (out "/" name ".cpp")
    close(out "/" name ".cpp")
    print name
  }
  inside = !inside && /^```cpp *$/
  text = ""
  next
}
inside { text = text $0 "\n" }
