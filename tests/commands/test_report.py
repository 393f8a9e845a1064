"""report: the page is whole, small and escaped, and a browser shows it without the network."""

import shutil
import subprocess
from pathlib import Path

import pytest
from corpora import prepared, text, write
from markup import Tags, check_figures, fetched
from training import tiny, write_metrics

from pipeline.errors import UserError
from trainer.cli import build_parser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
EVIL = "<script>document.title='gone'</script> & </div> \x1b[31m مرحبا 日本語 $x$ "


def report(*arguments: str) -> None:
    parsed = build_parser().parse_args(["report", *arguments])
    parsed.run(parsed)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small corpus of odd texts, and of two runs."""
    folder = tmp_path_factory.mktemp("report")
    write(folder / "texts/<b>evil$.txt", EVIL * 30)
    for index in range(20):
        write(folder / f"texts/{index}.txt", text(300 + 50 * index, seed=index % 15))
    corpus = prepared(folder, folder / "texts", splits={"train": 0.7, "validation": 0.3})
    runs = [folder / "<i>first", folder / "second"]
    for height, run in enumerate(runs):
        write_metrics(run, height=1.0 + height)
        metrics = (run / "metrics.jsonl").read_text()
        metrics = metrics.replace('"seconds"', '"input_wait": 0.25, "seconds"')
        (run / "metrics.jsonl").write_text(metrics)
        (run / "run.toml").write_text(tiny(corpus.directory, run).to_toml())
    output = folder / "page.html"
    report(str(corpus.directory), "--run", *map(str, runs), "-o", str(output), "--quiet")
    return output


def test_the_page_is_well_formed_and_has_no_script(page: Path) -> None:
    tags = Tags()
    tags.feed(page.read_text())
    assert not tags.open
    assert "script" not in tags.seen
    assert {"svg", "table", "details"} <= set(tags.seen)
    assert sorted(tags.ids) == sorted(set(tags.ids))


def test_the_page_is_small_and_names_nothing_to_fetch(page: Path) -> None:
    content = page.read_text()
    assert len(content) < 2_000_000
    assert not fetched(content)
    assert "\x1b" not in content


def test_each_picture_has_a_name_and_its_numbers(page: Path) -> None:
    content = page.read_text()
    assert check_figures(content) == 7


def test_what_stands_in_the_corpus_is_on_the_page(page: Path) -> None:
    content = page.read_text()
    assert "No document is in two splits" in content
    assert "Every digest and count is right" in content
    assert "&lt;script&gt;document.title" in content
    assert "&lt;b&gt;evil$.txt" in content
    assert "&lt;i&gt;first" in content


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_browser_shows_it(page: Path, tmp_path: Path) -> None:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path}"]
    command = [str(CHROMIUM), *flags, "--dump-dom", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    assert "<title>text: report of a corpus</title>" in shown.stdout
    assert shown.stdout.count("<svg") == 7
    assert "<script" not in shown.stdout


def test_the_same_corpus_has_the_same_page(page: Path) -> None:
    again = page.with_name("again.html")
    folder = page.parent
    runs = [str(folder / "<i>first"), str(folder / "second")]
    report(str(folder / "corpus"), "--run", *runs, "-o", str(again), "--quiet")
    assert again.read_bytes() == page.read_bytes()


def test_a_run_that_is_none_is_told(page: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not the directory of a run"):
        report(f"{page.parent}/corpus", "--run", str(tmp_path), "-o", f"{tmp_path}/x.html")
    assert not (tmp_path / "x.html").exists()
