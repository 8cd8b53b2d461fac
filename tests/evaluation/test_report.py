"""The report: what the page, the Markdown and the figure show."""

import json
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from skimage.io import imread

from aindnet.commands.app import main
from aindnet.errors import DatasetError, ImageWriteError
from aindnet.evaluation.datasets import open_dataset
from aindnet.evaluation.document import evaluation_document
from aindnet.evaluation.figure import write_figure
from aindnet.evaluation.methods import Noisy, OurModel, make_peer
from aindnet.evaluation.provenance import command_line, provenance
from aindnet.evaluation.report import make_showcases, write_report
from aindnet.evaluation.report.charts import (
    MARKS,
    Axis,
    Point,
    Series,
    binned_means,
    legend,
    linear_ticks,
    log_ticks,
    place_labels,
    scatter_chart,
)
from aindnet.evaluation.report.page import charts
from aindnet.evaluation.report.pictures import colour_map, telling_window
from aindnet.evaluation.report.showcases import choose_images
from aindnet.evaluation.report.tables import group_table, main_rows, subject
from aindnet.evaluation.runner import evaluate
from aindnet.whole_files import whole_file
from evaluation_stand_ins import FakeDenoiser, save, smooth_photo


@pytest.fixture
def measured(pairs_folder):
    dataset = open_dataset("pairs", pairs_folder)
    ours = OurModel(FakeDenoiser())
    methods = [Noisy(), make_peer("wavelet", "pairs"), ours]
    evaluation = evaluate(dataset, methods)
    document = evaluation_document(
        evaluation, model="fake", model_hash="ab" * 32, provenance=provenance(), ours="fake"
    )
    return dataset, methods, evaluation, document


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.sources, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]


def test_the_report_is_three_files_and_the_page_needs_no_other(measured, tmp_path):
    dataset, methods, evaluation, document = measured
    shown = make_showcases(dataset, methods[-1], evaluation)
    write_report(document, shown, tmp_path / "report")
    assert {p.name for p in (tmp_path / "report").iterdir()} == {
        "report.html", "report.md", "report.json",
    }  # fmt: skip
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == document
    text = (tmp_path / "report" / "report.html").read_text()
    page = Page(text)
    assert page.sources
    assert all(source.startswith("data:image/webp;base64,") for source in page.sources)
    assert "http://" not in text
    assert "https://" not in text
    assert len(re.findall('<svg class="chart"', text)) == 3
    assert page.tags.count("input") == len(shown) == 3
    assert f"{document['psnr']:.2f}" in text
    assert "SHA-256 " + "ab" * 32 in text


def test_names_from_files_cannot_break_the_page(measured, tmp_path):
    _, _, _, document = measured
    document["per_image"][0]["name"] = "<script>alert(1)</script>"
    document["methods"][2]["per_image"][0]["name"] = "<script>alert(1)</script>"
    document["methods"][1]["per_image"][0]["name"] = "<script>alert(1)</script>"
    document["methods"][0]["per_image"][0]["name"] = "<script>alert(1)</script>"
    write_report(document, [], tmp_path)
    assert "<script>alert" not in (tmp_path / "report.html").read_text()


def test_markdown_has_a_row_a_method_best_first(measured, tmp_path):
    _, _, _, document = measured
    write_report(document, [], tmp_path)
    text = (tmp_path / "report.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    values = [float(re.search(r"\d\d\.\d\d", line).group()) for line in lines[2:]]
    assert len(values) == 3
    assert values == sorted(values, reverse=True)
    assert "**fake**" in text


def test_the_showcases_are_the_extremes_of_the_gain(measured):
    _, _, evaluation, _ = measured
    gain = evaluation.method("fake").values("psnr") - evaluation.method("noisy").values("psnr")
    names = [score.image for score in evaluation.method("fake").scores]
    chosen = dict(choose_images(evaluation, "fake", 1))
    assert chosen[names[int(gain.argmax())]] == "largest gain"
    assert chosen[names[int(gain.argmin())]] == "smallest gain"


def test_a_set_without_truth_is_shown_all_the_same(tmp_path):
    save(tmp_path / "photos" / "Dog.png", smooth_photo())
    dataset = open_dataset("noisy", tmp_path / "photos")
    methods = [Noisy(), OurModel(FakeDenoiser())]
    evaluation = evaluate(dataset, methods)
    document = evaluation_document(
        evaluation, model="fake", model_hash=None, provenance=provenance(), ours="fake"
    )
    assert document["psnr"] is None
    shown = make_showcases(dataset, methods[1], evaluation)
    assert [show.clean for show in shown] == [None]
    write_report(document, shown, tmp_path / "report")


def test_the_window_lies_where_the_gain_is():
    gain = np.zeros((100, 120))
    gain[60:80, 30:50] = 1
    gain[0:10, 110:120] = -1
    rows, columns = telling_window(gain, 24)
    assert gain[rows, columns].sum() == 400
    rows, columns = telling_window(gain, 24, worst=True)
    assert (rows.start, columns.stop) == (0, 120)
    assert telling_window(gain[:10, :10], 24) == (slice(0, 10), slice(0, 10))


def test_the_noise_map_runs_from_dark_to_yellow():
    colours = colour_map(np.array([[0.0, 0.05, 0.2]]), 0.1)
    assert colours[0, 0].tolist() == [68, 1, 84]
    assert colours[0, 2].tolist() == [253, 231, 37]


def test_ticks_are_round_and_inside():
    for low, high in ((30.2, 41.0), (0.0012, 0.0034), (-5, 250)):
        ticks = linear_ticks(low, high)
        assert 3 <= len(ticks) <= 9
        assert all(low <= tick <= high for tick in ticks)
    assert log_ticks(0.01, 30) == [0.01, 0.1, 1, 10]
    assert log_ticks(0.2, 6) == [0.2, 0.5, 1, 2, 5]
    assert Axis("s", 0.1, 10, log=True).position(1) == pytest.approx(0.5)


def test_binned_means_keep_the_mean():
    points = [Point(x, 40 - x, "") for x in range(24)]
    assert binned_means(points) == [(1.5 + 4 * i, 38.5 - 4 * i) for i in range(6)]


def overlaps(labels):
    return [
        (one.text, other.text)
        for index, one in enumerate(labels)
        for other in labels[index + 1 :]
        if one.meets(other.box)
    ]


def test_names_of_near_marks_do_not_cover_each_other_or_marks():
    marks = [
        *(("aindnet-fast", 200.0, 120.0), ("aindnet-fast*", 230.0, 118.0), ("nlm", 210.0, 125.0)),
        *(("bm3d", 410.0, 20.0), ("wavelet", 60.0, 262.0)),
    ]
    labels = place_labels(marks)
    assert [label.text for label in labels] == [name for name, _, _ in marks]
    assert not overlaps(labels)
    for label in labels:
        assert label.box[0] >= 0
        assert label.box[2] <= 430
        assert not any(label.meets((x - 4, y - 4, x + 4, y + 4)) for _, x, y in marks)
    assert place_labels(marks) == labels
    alone = place_labels(marks[:1])[0]
    assert (alone.anchor, alone.y) == ("start", 120.0)


def test_a_name_too_long_for_either_side_stands_inside_over_or_under_its_mark():
    (label,) = place_labels([("a_program_of_thirty_characters", 215.0, 100.0)])
    assert label.box[0] >= 0
    assert label.box[2] <= 430
    assert not label.meets((211, 96, 219, 104))


def test_many_marks_at_one_place_still_have_names_apart():
    assert not overlaps(place_labels([(f"method{k}", 200.0 + k, 150.0 - k) for k in range(12)]))


def test_the_quality_chart_places_the_names_of_methods(pairs_folder):
    ours = OurModel(FakeDenoiser())
    evaluation = evaluate(
        open_dataset("pairs", pairs_folder), [Noisy(), ours, ours.with_ensemble()]
    )
    document = evaluation_document(
        evaluation, model="fake", model_hash=None, provenance=provenance(), ours="fake"
    )
    for method in document["methods"]:
        method["seconds_per_megapixel"], method["psnr"] = 1.0, 30.0
    svg = next(svg for title, _, svg in charts(document) if title == "Quality against time")
    places = re.findall(r'<text class="mark" x="([\d.]+)" y="([\d.]+)"', svg)
    assert len(places) == len(set(places)) == 2


@pytest.mark.parametrize(("count", "drawn"), [(7, False), (8, True)])
def test_lines_are_drawn_and_spoken_of_from_eight_images_on(measured, count, drawn):
    _, _, _, document = measured
    document["per_image"] = [{"name": f"p{k}", "noise_sigma": 2.0 + k} for k in range(count)]
    for method in document["methods"]:
        method["per_image"] = [{"name": f"p{k}", "psnr": 40.0 - k} for k in range(count)]
    _, caption, svg = next(c for c in charts(document) if c[0] == "PSNR against noise level")
    assert ("lines join means" in caption) is drawn
    assert ("<polyline" in svg) is drawn
    assert ('<line class="trend"' in svg) is drawn


def test_series_differ_by_their_marks_as_well_as_their_colours():
    assert len(set(MARKS[:8])) == 8
    one = Series("one", 3, (Point(1, 1, "here"),))
    axis = Axis("x", 0, 2)
    assert MARKS[3] in scatter_chart([one], axis, axis)
    assert MARKS[3] in legend([one])


def test_wide_tables_are_set_denser_and_their_headings_may_break(measured, tmp_path):
    _, _, _, document = measured
    write_report(document, [], tmp_path)
    assert '<table class="methods">' in (tmp_path / "report.html").read_text()
    document["metrics"] += ["psnr_luma", "ssim_float", "ssim_matlab_grey", "ssim_matlab_volume"]
    write_report(document, [], tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert '<table class="methods dense">' in text
    assert "<th>ssim_<wbr>matlab_<wbr>volume</th>" in text


@pytest.mark.parametrize("columns", ["40", "80"])
def test_the_printed_table_is_never_cut(capsys, monkeypatch, fake_denoiser, pairs_folder, columns):
    monkeypatch.setenv("COLUMNS", columns)
    more = ["psnr_luma", "ssim_float", "ssim_matlab_grey", "ssim_matlab_volume"]
    arguments = ["evaluate", "pairs", "--root", str(pairs_folder), "--ensemble", "--peer", "nlm"]
    with pytest.raises(SystemExit) as stop:
        main([*arguments, *(word for name in more for word in ("--metric", name))])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert "…" not in out
    rows = [line for line in out.splitlines() if line[:1] in "┃│"]
    assert len(rows) == 1 + 4
    head, *values = (re.split("[┃│]", line)[1:-1] for line in rows)
    assert [cell.strip() for cell in head] == [
        *("method", "PSNR, dB", "SSIM", *more, "ours − this", "s/MP", "MB"),
    ]
    for row in values:
        assert re.fullmatch(r"\d\d\.\d\d", row[3].strip())
        assert all(re.fullmatch(r"0\.\d{4}", cell.strip()) for cell in row[4:7])


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_figure_shows_whole_noisy_methods_and_clean(measured, tmp_path, suffix):
    dataset, methods, _, _ = measured
    path = tmp_path / f"figure{suffix}"
    write_figure(dataset, methods, path, images=1, window=16)
    assert path.stat().st_size > 5000
    if suffix == ".png":
        height, width = imread(path).shape[:2]
        assert width > 3 * height


def test_the_figures_window_must_fit(measured, tmp_path):
    dataset, methods, _, _ = measured
    with pytest.raises(DatasetError, match="no window"):
        write_figure(dataset, methods, tmp_path / "f.png", images=1, window=16, place=(30, 0))
    with pytest.raises(ImageWriteError, match=r"\.png"):
        write_figure(dataset, methods, tmp_path / "f.gif", images=1)
    assert not list(tmp_path.glob("f.*"))


def test_the_command_line_is_what_a_user_types():
    typed = command_line(["/opt/env/bin/aindnet", "evaluate", "pairs", "--only", "two words"])
    assert typed == "aindnet evaluate pairs --only 'two words'"


def test_the_command_line_has_no_full_path():
    typed = command_line(
        [
            *("aindnet", "evaluate", "polyu", "--root", "/home/me/my data/PolyU", "--only", "a/b"),
            *("--output=/home/me/report", "--peer", "/home/me/net.onnx", "--scores", "../s.jsonl"),
            *("--peer", "python '/home/me/my tools/run.py' --w=/home/me/w.pt {input} {output}"),
        ]
    )
    assert "/home" not in typed
    assert shlex.split(typed) == [
        *("aindnet", "evaluate", "polyu", "--root", "PolyU", "--only", "a/b"),
        *("--output=report", "--peer", "net.onnx", "--scores", "../s.jsonl"),
        *("--peer", "python 'run.py' --w=w.pt {input} {output}"),
    ]


def test_peers_that_were_left_out_are_named(measured, tmp_path):
    _, _, _, document = measured
    document["dropped"] = [{"method": "bm3d", "name": "photo1", "error": "too <small>"}]
    write_report(document, [], tmp_path)
    assert "bm3d (photo1: too <small>)" in (tmp_path / "report.md").read_text()
    assert "bm3d: photo1: too &lt;small&gt;" in (tmp_path / "report.html").read_text()


def test_an_infinite_mean_stands_first(measured):
    _, _, _, document = measured
    document["methods"][1]["psnr"] = None
    assert main_rows(document)[0].name == "wavelet"


def test_the_page_is_about_the_best_peer_where_there_is_no_model(measured):
    _, _, _, document = measured
    assert subject(document)["name"] == "fake"
    document["model"] = None
    noisy, wavelet, fake = document["methods"]
    for best, worst in ((wavelet, fake), (fake, wavelet)):
        noisy["psnr"], best["psnr"], worst["psnr"] = 50.0, 40.0, 30.0
        assert subject(document)["name"] == best["name"]


def test_group_tables_say_what_they_show(measured, tmp_path):
    _, _, evaluation, _ = measured
    grouped = replace(evaluation, grouping="scene")
    document = evaluation_document(
        grouped, model="fake", model_hash=None, provenance=provenance(), ours="fake"
    )
    assert group_table(document)[0][:2] == ["scene (PSNR, dB)", "images"]
    write_report(document, [], tmp_path)
    assert "| scene (PSNR, dB) |" in (tmp_path / "report.md").read_text()
    assert "<th>scene (PSNR, dB)</th>" in (tmp_path / "report.html").read_text()


def test_the_self_ensemble_has_a_mark_of_its_own(pairs_folder, tmp_path):
    ours = OurModel(FakeDenoiser())
    methods = [Noisy(), ours, ours.with_ensemble()]
    evaluation = evaluate(open_dataset("pairs", pairs_folder), methods)
    document = evaluation_document(
        evaluation, model="fake", model_hash=None, provenance=provenance(), ours="fake"
    )
    write_report(document, [], tmp_path)
    text = (tmp_path / "report.html").read_text()
    keys = dict(re.findall(r'<span class="key c(\d)"><svg.*?</svg>([^<]+)</span>', text))
    assert sorted(keys.values()) == ["fake", "fake*", "noisy"]
    assert all(f"--c{colour}:" in text for colour in keys)


def test_files_of_a_report_have_the_permissions_of_any_new_file(tmp_path):
    with whole_file(tmp_path / "report.md") as partial:
        partial.write_text("text")
    (tmp_path / "other").touch()
    assert (tmp_path / "report.md").stat().st_mode == (tmp_path / "other").stat().st_mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "report.md"]
