"""The report in a browser: headless Chromium, driven by Selenium.

    page_test.py --program SOLENS --toyland TOYLAND --world examples/toyland --out FOLDER

Leaves its pages and screenshots in FOLDER.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, os.path.dirname(__file__))
import made_up_run

try:
    from selenium import webdriver
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.chrome.service import Service
except ImportError:
    print("not run: python3-selenium is not here")
    sys.exit(0)

# Words and file names as somebody might write them to break a page.
HOSTILE = ["</script><script>window.broken=1</script>", "<img src=x onerror='window.broken=1'>",
           "\"quotes\" 'and' `ticks` \\ & &lt;", "line\u2028separator\u2029here", "<!-- <script>",
           "${window.broken=1}"]
HOSTILE_FILE = "a\"'&<img src=x onerror=\"window.broken=1\">.png"


def check(holds, what):
    if not holds:
        raise AssertionError(what)


class Page:
    """A page in the browser, and what a person does with it."""

    def __init__(self, browser, file, shots):
        self.browser, self.shots = browser, shots
        start = time.time()
        browser.get(file.as_uri())
        self.wait(lambda: self.run("return document.body.dataset.ready") == "true", "the page")
        self.seconds = time.time() - start

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def wait(self, holds, what, seconds=20):
        end = time.time() + seconds
        while not holds():
            check(time.time() < end, f"waited for {what}")
            time.sleep(0.02)

    def go(self, address):
        self.run("location.hash = arguments[0]", address)
        self.wait(lambda: self.run("return document.title") != "" and
                  self.run("return location.hash") == address, address)
        time.sleep(0.1)

    def press(self, *keys):
        ActionChains(self.browser).send_keys(*keys).perform()
        time.sleep(0.1)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def neurons(self):
        """The neurons in sight, from top to bottom."""
        return self.run("return [...document.querySelectorAll('.scroll .row')]"
                        ".sort((a, b) => parseFloat(a.style.top) - parseFloat(b.style.top))"
                        ".map((r) => r.dataset.neuron)")

    def shot(self, name):
        time.sleep(0.4)  # pictures and transitions
        self.browser.save_screenshot(str(self.shots / f"{name}.png"))

    def check_console(self):
        check(self.run("return window.broken") is None, "a word or file name ran as script")
        log = self.browser.get_log("browser")
        check(not log, f"a silent console, not {log}")


def check_table(page, run):
    lines = [json.loads(line) for line in (run / "descriptions.jsonl").read_text().splitlines()]
    name = lambda line: f"{line['layer']}/{line['neuron']}"
    check(page.one("#count").text.startswith(f"{len(lines):,} "), "a count of all neurons")
    check(len(page.all(".scroll .row")) < 60, "only rows in sight exist")
    page.shot("table")
    for key in ("explained_variance", "top_share", "largest_norm", "polysemy"):
        by_size = sorted(lines, key=lambda line: line[key])
        page.one(f"[data-sort={key}]").click()
        if key == "explained_variance":  # by which the table comes sorted: the smallest first now
            by_size.reverse()
        time.sleep(0.2)
        top = [line[key] for line in by_size[-5:]][::-1]
        shown = [next(l[key] for l in lines if name(l) == n) for n in page.neurons()[:5]]
        check(shown == top, f"the table sorted by {key}, got {shown}, expected {top}")
    page.go("#/neurons?sort=neuron")
    page.run("document.querySelector('.scroll').scrollTop = 1e9")
    page.wait(lambda: name(lines[0]) in page.neurons(), "the end of the list")
    page.go("#/neurons?layer=3")
    check(all(n.startswith("3/") for n in page.neurons()), "the neurons of one layer")


def check_search(page, run):
    lines = [json.loads(line) for line in (run / "descriptions.jsonl").read_text().splitlines()]
    page.go("#/neurons")
    page.press("/")
    check(page.run("return document.activeElement.id") == "search", "/ leads to the search field")
    page.press("boat")
    page.wait(lambda: page.all(".suggestion"), "suggestions")
    page.shot("search")
    page.press(Keys.ENTER)
    page.wait(lambda: "q=boat" in page.run("return location.hash"), "the neurons that say boat")
    time.sleep(0.2)
    saying = {f"{l['layer']}/{l['neuron']}" for l in lines
              if any("boat" in w["word"] for w in l["words"])}
    check(page.one("#count").text.startswith(f"{len(saying)} "), f"{len(saying)} neurons say boat")
    check(set(page.neurons()) <= saying, "only neurons that say boat")
    page.shot("boat")
    image = 7
    showing = {f"{l['layer']}/{l['neuron']}" for l in lines if image in l["top_images"][:24]}
    page.go(f"#/neurons?image={image}")
    check(page.one("#count").text.startswith(f"{len(showing)} "),
          f"{len(showing)} neurons show image {image}, not {page.one('#count').text}")
    check(set(page.neurons()) <= showing, "only neurons that show the image")
    page.press("/")
    page.press("2/17", Keys.ENTER)
    page.wait(lambda: page.run("return location.hash") == "#/neuron/2/17", "a neuron by its name")


def check_keys(page):
    page.go("#/neurons?sort=neuron")
    before = page.neurons()
    page.press("j", "j", Keys.ARROW_DOWN, "k")
    check(page.one(".row.selected").get_attribute("data-neuron") == before[2], "j, k and arrows")
    page.press(Keys.ENTER)
    page.wait(lambda: page.run("return location.hash") == f"#/neuron/{before[2]}", "Enter opens")
    page.press("j")
    page.wait(lambda: page.run("return location.hash") == f"#/neuron/{before[3]}", "j is the next")
    page.press(Keys.ESCAPE)
    page.wait(lambda: page.run("return location.hash").startswith("#/neurons"), "Escape goes back")
    check(page.one(".row.selected").get_attribute("data-neuron") == before[3], "where it was left")
    page.press("2")
    page.wait(lambda: page.all("#layers-page"), "2 leads to the layers")
    page.press("t")
    check(page.run("return document.documentElement.dataset.theme") == "dark", "t is for dark")


def check_neuron(page, run, layer, neuron, shot):
    lines = [json.loads(line) for line in (run / "descriptions.jsonl").read_text().splitlines()]
    line = next(l for l in lines if (l["layer"], l["neuron"]) == (layer, neuron))
    page.go(f"#/neuron/{layer}/{neuron}")
    page.wait(lambda: page.all("#neuron-page"), "the page of a neuron")
    check([b.text for b in page.all(".bar-label")] == [w["word"] for w in line["words"]],
          "its words by magnitude")
    signs = ["negative" if w["weight"] < 0 else "positive" for w in line["words"]]
    check([b.get_attribute("class").split()[1] for b in page.all(".bar")] == signs, "their signs")
    check(len(page.all(".figure img")) == 24 and len(page.all(".figure canvas")) == 24,
          "24 images with their heat maps")
    loaded = "return [...document.querySelectorAll('.figure img')].every((i) => i.naturalWidth)"
    page.wait(lambda: page.run(loaded), "pictures that can be shown")
    check(abs(float(page.one(".caption b").text) - line["largest_norm"]) < 0.06,
          "the largest norm")
    check(len(page.all(".head-grid .cell")) == 4 * (5 - layer), "a cell for every later head")
    page.shot(shot)
    heat = lambda: page.run("return getComputedStyle(document.querySelector('.heat')).opacity")
    page.press("h")
    page.wait(lambda: heat() == "0", "h hides the heat maps")
    page.shot(shot + "-without-heat")
    page.press("h")


def check_layers(page, run):
    page.go("#/layers")
    page.wait(lambda: page.all("#layers-page .series path"), "curves of the ablations")
    page.shot("layers")
    page.go("#/layer/3")
    page.wait(lambda: page.all("#layer-page"), "the page of a layer")
    check(len(page.all(".histograms .plot")) == 5, "five histograms")
    total = sum(int(t.get_attribute("textContent").split(": ")[1].split()[0].replace(",", ""))
                for t in page.all(".histograms .plot:first-child title"))
    check(total == 512, "every neuron of the layer in the histogram")
    rows = json.loads((run / "ablation.json").read_text())["layers"][3]["rows"]
    shares = [float(td.text.split("\u2009")[0]) for td in page.all(".accuracies td:nth-child(2)")]
    expected = [100 * row["top_1"]["share"] for row in rows]
    check(len(shares) == len(rows) and
          all(abs(a - b) < 0.051 for a, b in zip(shares, expected)),
          f"the rows of its ablations, {expected}, not {shares}")
    page.shot("layer")
    page.go("#/images")
    page.wait(lambda: page.all(".shelf-item img"), "the images")
    page.shot("images")
    page.go("#/heads")
    page.wait(lambda: page.all("#heads-page tbody tr"), "the heads")
    heads = [json.loads(line) for line in (run / "heads.jsonl").read_text().splitlines()]
    check([th.text for th in page.all("#heads-page tbody th")] ==
          [f"{h['layer']}.{h['head']}" for h in heads], "every head that was described")
    check([chip.text for chip in page.all("#heads-page tbody tr:first-child .chip")] ==
          [t["text"] for t in heads[0]["texts"]], "its words in order")
    page.shot("heads")
    page.go("#/about")
    page.shot("about")


def make_toyland(a):
    """A run of toyland with ablations, and its report."""
    scenes, run = a.out / "scenes", a.out / "run"
    subprocess.run([a.toyland, "paint", "--n", "400", "--seed", "5", "--out", scenes], check=True)
    model = ["--model", a.world / "model"]
    images = scenes / "images"
    solens = lambda *words: subprocess.run([a.program, *words, "--quiet"], check=True)
    solens("analyze", *model, "--images", images, "--top", "24", "--words", a.world / "words.txt",
           "--atoms", "4", "--cache", a.out / "cache", "--out", run)
    kinds = a.out / "kinds"
    for i, line in enumerate((scenes / "captions.jsonl").read_text().splitlines()):
        kind = json.loads(line)["concepts"][0]
        (kinds / kind).mkdir(parents=True, exist_ok=True)
        (kinds / kind / f"{i:06}.png").symlink_to((images / f"{i:06}.png").absolute())
    solens("ablate", "--run", run, "--images", kinds, "--labels", "folders", "--classes",
           class_list(kinds), "--out", a.out / "ablation.json")
    solens("heads", "--run", run, "--layers", "4-5", "--texts", "5")
    solens("report", "--run", run, "--out", a.out / "toyland.html")
    return run


def class_list(kinds):
    path = kinds.parent / "kinds.txt"
    path.write_text("".join(f"{p.name}\n" for p in sorted(kinds.iterdir())))
    return path


def make_hostile(a, run):
    """The same run, its words and an image's name replaced by hostile ones."""
    hostile = a.out / "hostile"
    shutil.copytree(run, hostile)
    words = (hostile / "words.txt").read_text().splitlines()
    words = [HOSTILE[i % len(HOSTILE)] + f" {i}" for i in range(len(words))]
    (hostile / "words.txt").write_text("\n".join(words) + "\n")
    names = (hostile / "images.txt").read_text().splitlines()
    for i in range(0, len(names), 2):
        renamed = Path(names[i]).parent / f"{i}{HOSTILE_FILE}"
        shutil.copy(names[i], renamed)
        names[i] = str(renamed)
    (hostile / "images.txt").write_text("\n".join(names) + "\n")
    subprocess.run([a.program, "report", "--run", hostile, "--quiet"], check=True)
    return hostile / "report.html"


def check_hostile(page):
    page.go("#/neuron/4/17")
    labels = [b.text for b in page.all(".bar-label")]
    check(all(any(label.startswith(h.split("\u2028")[0]) for h in HOSTILE) for label in labels),
          f"words as they are, not {labels}")
    page.shot("hostile")
    for address in ("#/neurons", "#/layers", "#/layer/2", "#/images", "#/about"):
        page.go(address)
    page.press("/")
    page.press("<img")
    page.wait(lambda: page.all(".suggestion"), "suggestions of hostile words")
    page.press(Keys.ENTER)


def check_large(a, browser):
    """33,792 neurons: size of the page, seconds until it is there."""
    made_up_run.make(a.out / "large")
    call = subprocess.run([a.program, "report", "--run", a.out / "large"], check=True,
                          capture_output=True, text=True)
    check("without pictures" in call.stderr, "the missing pictures on standard error")
    file = a.out / "large" / "report.html"
    megabytes = file.stat().st_size / 1e6
    pages = [Page(browser, file, a.out) for _ in range(3)]
    page, seconds = pages[-1], min(p.seconds for p in pages)
    print(f"33,792 neurons: {megabytes:.1f} MB, loaded in {seconds:.2f} s")
    check(megabytes < 40, "less than 40 MB")
    check(seconds < 3, "less than 3 seconds")
    check(page.one("#count").text == "33,792 neurons", "all neurons")
    check("without pictures" in page.one("#pictures-note").text, "a note in the page")
    page.go("#/neurons?q=number%2077")
    page.shot("large")
    page.go("#/neuron/10/3071")
    page.wait(lambda: page.all(".frame.none"), "images without pictures")
    page.shot("large-neuron")
    page.check_console()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("program", "toyland", "world", "out"):
        parser.add_argument("--" + name, type=Path, required=True)
    a = parser.parse_args()
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        print("not run: chromium and chromedriver (chromium-driver) are not here")
        return
    shutil.rmtree(a.out, ignore_errors=True)
    a.out.mkdir(parents=True)
    run = make_toyland(a)
    options = webdriver.ChromeOptions()
    for option in ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1440,1000"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        page = Page(browser, a.out / "toyland.html", a.out)
        check(not page.all("#pictures-note"), "no note where nothing is missing")
        check_table(page, run)
        check_search(page, run)
        check_neuron(page, run, 4, 17, "neuron")
        check_layers(page, run)
        check_keys(page)
        check_neuron(page, run, 2, 3, "neuron-dark")
        page.check_console()
        hostile = Page(browser, make_hostile(a, run), a.out)
        check_hostile(hostile)
        hostile.check_console()
        check_large(a, browser)
    finally:
        browser.quit()


if __name__ == "__main__":
    main()
