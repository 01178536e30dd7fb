# Who may include whom. Reads all headers of include/solens and prints what breaks a rule:
#   1. folders include each other as in `allowed`;
#   2. a backend that brings a library (a leaf) is included by nobody;
#   3. system and third-party headers are standard, POSIX, the compiler's, or of a known component;
#   4. solens.hpp includes exactly the headers that need no third-party library, but for testing/,
#      which is for people who write a backend;
#   5. a header is tested: it is one of `tested` (-v tested="core/error.hpp ..."), or a part of a
#      header of its folder that is.
# With -v list=1 it prints the includes that solens.hpp should have, and nothing else.
BEGIN {
  allowed["core"] = ""
  allowed["backend"] = allowed["weights"] = allowed["image"] = "core"
  allowed["text"] = allowed["report"] = "core"
  allowed["stats"] = allowed["testing"] = "core backend"
  allowed["model"] = "core backend weights image text"
  allowed["lens"] = "core backend"  # and the plain structs of model, below
  allowed["findings"] = "core backend stats lens model"
  plain_structs = " model/config.hpp model/lens_inputs.hpp model/weights.hpp "
  leaves = " backend/eigen.hpp backend/xtensor.hpp backend/cuda.hpp "
  component["eigen"] = "^(Eigen/|unsupported/Eigen/|omp\\.h$|cblas\\.h$)"
  component["files"] = "^(nlohmann/|zlib\\.h$)"
  component["images"] = "^(jpeglib\\.h|jerror\\.h|turbojpeg\\.h|png\\.h)$"
  component["hdf5"] = "^hdf5\\.h$"
  component["xtensor"] = "^(xtensor|xtl|xtensor-blas|xsimd)/"
  component["cuda"] = "^(cuda|cublas|cusolver|curand|cub/|thrust/)"
  posix = "^(sys/[a-z]+|fcntl|unistd|sched|pthread)\\.h$"
  compiler = "^(emmintrin|immintrin|cpuid)\\.h$"
}

function folder_of(path) { return path ~ /\// ? substr(path, 1, index(path, "/") - 1) : "" }

function fault(text) { if (!list) print FILENAME ":" FNR ": " text }

FNR == 1 {
  name = FILENAME
  sub(/^include\/solens\//, "", name)
  folder = folder_of(name)
  names[name] = 1
  if (folder != "" && !(folder in allowed)) fault("a folder that the table of includes does not know")
}

/^[ ]*#[ ]*include[ ]*"/ { fault("includes are written <...>, from the include folder") }

/^[ ]*#[ ]*include[ ]*</ {
  included = $0
  sub(/^[^<]*</, "", included)
  sub(/>.*/, "", included)
  if (included !~ /^solens\//) {
    kind = ""
    for (c in component) if (included ~ component[c]) kind = c
    if (kind != "") third_party[name] = 1
    else if (included ~ /[\/.]/ && included !~ posix && included !~ compiler) fault("<" included "> belongs to no component")
    next
  }
  sub(/^solens\//, "", included)
  edges[name] = edges[name] " " included
  if (folder == "") next
  if (index(leaves, " " included " ")) fault("a leaf is included by nobody: <solens/" included ">")
  from = folder_of(included)
  if (from != folder && !index(" " allowed[folder] " ", " " from " ") &&
      !(folder == "lens" && index(plain_structs, " " included " "))) {
    fault(folder "/ may not include <solens/" included ">")
  }
}

END {
  do {  # what includes a header with a third-party library has that library, too
    changed = 0
    for (n in edges) {
      count = split(edges[n], to, " ")
      for (i = 1; i <= count; ++i) {
        if (n != "solens.hpp" && (to[i] in third_party) && !(n in third_party)) {
          third_party[n] = changed = 1
        }
      }
    }
  } while (changed)
  count = split(tested, queue, " ")
  for (i = 1; i <= count; ++i) {
    if (queue[i] in is_tested) continue
    is_tested[queue[i]] = 1
    parts = split(edges[queue[i]], part, " ")
    for (j = 1; j <= parts; ++j) {
      if (folder_of(part[j]) == folder_of(queue[i])) queue[++count] = part[j]
    }
  }
  for (n in names) {
    if (!list && n ~ /\// && !(n in is_tested)) {
      test = n
      sub(/\.[a-z]+$/, "_test.cpp", test)
      print "include/solens/" n ": no test (tests/" test ")"
    }
  }
  for (n in names) {
    if (n != "solens.hpp" && n !~ /^testing\// && !(n in third_party)) wanted[n] = 1
  }
  if (list) {
    for (n in wanted) print "#include <solens/" n ">"
    exit
  }
  count = split(edges["solens.hpp"], to, " ")
  for (i = 1; i <= count; ++i) listed[to[i]] = 1
  for (n in listed) {
    if (!(n in wanted)) print "include/solens/solens.hpp: <solens/" n "> does not belong there"
  }
  for (n in wanted) {
    if (!(n in listed)) print "include/solens/solens.hpp: lacks #include <solens/" n ">"
  }
}
