"""The self-contained page, its parts, and how a browser shows it."""

import base64
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

import pofx
from pofx import PofxError
from pofx.report.unexpected_rows import excess_surprise, least_expected
from pofx.table.encoding import encode

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VOID = {"meta", "link", "img", "br"}
RNG = np.random.default_rng(0)


def rows(n=80):
    heavy = RNG.random(n) < 0.5
    return pd.DataFrame(
        {
            "kind": np.where(heavy, "<b>big</b>", "small & shy"),
            "mass": np.where(heavy, 50.0, 30.0) + RNG.normal(size=n).round(2),
            "seen": pd.Timestamp("2020-01-01") + pd.to_timedelta(RNG.integers(0, 300, n), "D"),
        }
    )


class Reader(HTMLParser):
    """The content of a page, with a check that its tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.words, self.tags = [], [], [], set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag == "img":
            self.images.append(dict(attributes))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def data():
    held = rows(40)
    # as heavy as the other kind is, and as no kind is
    held.loc[7, ["kind", "mass"]] = ["small & shy", 52.0]
    held.loc[3, "mass"] = np.nan
    return held


@pytest.fixture(scope="module")
def p():
    return pofx.fit(rows(), "mixture", components=2, restarts=1)


@pytest.fixture(scope="module")
def path(p, data, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    pofx.write_report(p, path, data)
    return path


@pytest.mark.slow
def test_a_page_stands_alone(path):
    text = path.read_text()
    reader = Reader(text)
    assert not reader.open
    assert not reader.tags & {"script", "iframe", "b"}
    assert "http" not in text.replace('http-equiv="Content', "")
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert text.count("<section>") == 6
    names = [image["alt"] for image in reader.images]
    assert names[:2] == ["log-likelihood by step", "mutual information of pairs"]
    assert {"p(kind)", "p(mass)", "p(seen)", "p(kind | the other cells)"} <= set(names)
    for image in reader.images:
        inside = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))
        pixels = matplotlib.image.imread(io.BytesIO(inside))
        assert pixels.std() > 0.05
        assert abs(pixels.shape[1] / int(image["width"]) - 144 / 84) < 0.02


@pytest.mark.slow
def test_it_tells_what_the_report_does(p, path):
    words = "".join(Reader(path.read_text()).words)
    for line in str(p.report()).splitlines():
        assert line in words
    for cell in p.schema.variable("mass").describe():
        assert cell in words
    assert "<b>big</b>" in words
    assert "2020-0" in words
    assert "On the 40 given rows" in words
    assert "kind = small & shy (<b>big</b> expected, +" in words


def test_the_row_least_expected(p, data):
    x = encode(p.schema, data)
    first, *others = least_expected(p, x)
    assert first.number == 7
    assert first.tail == min(row.tail for row in (first, *others))
    assert {cell.name for cell in first.cells} >= {"kind", "mass"}
    by_name = {cell.name: cell for cell in first.cells}
    assert by_name["kind"].expected == "<b>big</b>"
    assert abs(float(by_name["mass"].expected) - 30) < 1


def test_excess_is_a_difference_of_log_probabilities(p, data):
    x = encode(p.schema, data)
    excess = excess_surprise(p, x, np.arange(len(x)))
    assert np.isnan(excess).tolist() == np.isnan(x).tolist()
    np.testing.assert_allclose(np.nanmean(excess, 0), 0, atol=1e-5)
    log_density = np.asarray(p.log_prob(data))
    for name, j in (("kind", 0), ("mass", 1)):
        less = np.asarray(p.log_prob(data.assign(**{name: None})))
        known = data[name].notna().to_numpy()
        by_name = (less - log_density)[known]
        np.testing.assert_allclose(excess[known, j], by_name - by_name.mean(), atol=1e-4)


@pytest.mark.slow
def test_equal_arguments_give_equal_pages(p, data, path, tmp_path):
    pofx.write_report(p, tmp_path / "again.html", data)
    assert (tmp_path / "again.html").read_bytes() == path.read_bytes()


def test_without_data(p, tmp_path):
    pofx.write_report(p.marginal("mass"), tmp_path / "r.htm")
    reader = Reader((tmp_path / "r.htm").read_text())
    assert [image["alt"] for image in reader.images] == ["log-likelihood by step", "p(mass)"]
    assert "Calibration" not in reader.words


def test_mistakes(p, data, tmp_path):
    bad = tmp_path / "r.html"
    for path, arguments, message in (
        ("r.pdf", {}, "expected a file .html, got '.pdf'"),
        (bad, {"data": data[:0]}, "data: expected at least one row"),
        (bad, {"data": data.drop(columns="mass")}, "no column 'mass'"),
        (bad, {"target": "mass"}, "target: expected a column of levels"),
        (bad, {"target": "mas"}, "did you mean 'mass'"),
    ):
        with pytest.raises(PofxError, match=message):
            pofx.write_report(p, path, **arguments)
    with pytest.raises(PofxError, match="expected a distribution without evidence"):
        pofx.write_report(p.given(mass=30.0), bad, data)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_as_a_command(run):
    code, out, err = run("report p.pofx -o small.html")
    assert (code, out, err) == (0, "small.html\n", "")
    assert run("report p.pofx -o small.png")[0] == 2


def test_notebooks(p):
    for what in (p, p.schema, p.report(), p.ask("H(kind)"), p.log_prob(rows(3)), p.given(mass=3)):
        reader = Reader(what._repr_html_())
        assert not reader.open
        assert not reader.tags & {"script", "style", "b"}
        words = " ".join("".join(reader.words).split())
        for line in str(what if not isinstance(what, pofx.Joint) else repr(what)).splitlines():
            for cell in re.split(r"\s{2,}", line.strip()):
                assert " ".join(cell.split()) in words


@pytest.mark.filterwarnings("ignore:EM had not converged")  # the budget may end it
def test_a_leaderboard_as_a_table():
    p = pofx.fit({"x": np.arange(30.0), "y": np.arange(30) % 2}, budget=1e-9, validation=0.3)
    reader = Reader(p.report()._repr_html_())
    assert "table" in reader.tags
    assert [line["name"] in reader.words for line in p.report().leaderboard].count(False) == 0
    assert "kept" in reader.words


BROWSER = next((b for b in map(shutil.which, BROWSERS) if b), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


def opened(page, folder, height=3000):
    """The pixels of the page in a browser, and the lines that it logs to the console."""
    shot = folder / "shot.png"
    switches = ("headless", "disable-gpu", "no-sandbox", "hide-scrollbars", "disable-dev-shm-usage")
    line = [BROWSER, *(f"--{s}" for s in switches), f"--user-data-dir={folder / 'profile'}"]
    line += ["--enable-logging=stderr", f"--window-size=1100,{height}", f"--screenshot={shot}"]
    line += ["--virtual-time-budget=2000", page.as_uri()]
    ran = subprocess.run(line, capture_output=True, text=True, timeout=120, check=True)
    console = [text for text in ran.stderr.splitlines() if "CONSOLE" in text]
    return (matplotlib.image.imread(shot)[..., :3] * 255).round().astype(int), console


@pytest.mark.slow
@needs_browser
def test_in_a_browser(path, tmp_path):
    pixels, console = opened(path, tmp_path)
    assert not console
    assert pixels.shape == (3000, 1100, 3)
    # words and pictures on white, at every height, and the blue of what the model says
    assert (pixels == 255).all(2).mean() > 0.5
    for band in np.split(pixels[:2400], 8):
        assert band.std() > 5
    blue = (np.abs(pixels - [0, 114, 178]) <= 3).all(2)
    assert blue.mean() > 0.002


@pytest.mark.slow
@needs_browser
def test_a_browser_would_tell(path, tmp_path):
    """The test above fails for a faulty page."""
    bad = tmp_path / "bad.html"
    text = path.read_text().replace("img-src data:", "img-src 'none'")
    bad.write_text(text)
    pixels, console = opened(bad, tmp_path)
    assert console
    assert not (np.abs(pixels - [0, 114, 178]) <= 3).all(2).any()
