"""Every published layout, read from a tiny stand-in of exactly that layout."""

import csv
import errno
import io
import os
import tarfile

import numpy as np
import pytest
from skimage.io import imsave

from aindnet.errors import DatasetError, ImageReadError, ImageWriteError
from aindnet.evaluation.datasets import DatasetOptions, PairFilter, open_dataset
from aindnet.evaluation.datasets.brightness import match_brightness
from aindnet.evaluation.datasets.gaussian import add_gaussian_noise, seed_of
from aindnet.evaluation.datasets.image_files import read_file
from aindnet.evaluation.metrics import psnr
from aindnet.whole_files import require_writable_file, whole_file
from evaluation_stand_ins import save, smooth_photo, with_noise


def names(dataset):
    return [sample.name for sample in dataset.samples]


def encoded(image, suffix=".jpg"):
    import pyvips

    return pyvips.Image.new_from_array(image).write_to_buffer(suffix)


@pytest.fixture
def polyu_pack(tmp_path):
    """An indexed pack of three published crops and one full-resolution crop in two tars."""
    rows = [
        ("CamA_desk_c01", "CamA_desk", "official-crop", 0.3, 0.5, 0.1),
        ("CamA_desk_c02", "CamA_desk", "official-crop", 2.6, 0.5, 0.1),
        ("CamB_wall_c01", "CamB_wall", "official-crop", 0.2, 1.9, -0.8),
        ("CamB_wall_f00", "CamB_wall", "full-res-crop", 0.2, 0.2, 0.0),
    ]
    with (tmp_path / "index.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["name", "scene", "kind", "max_channel_bias", "low_freq_mismatch", "shift_y", "shift_x"]
        )
        for name, scene, kind, bias, mismatch, shift in rows:
            writer.writerow([name, scene, kind, bias, mismatch, shift, 0])
    for tar, members in (("polyu-crops", rows[:3]), ("polyu-fullres-000", rows[3:])):
        with tarfile.open(tmp_path / f"{tar}.tar", "w") as archive:
            for index, (name, *_) in enumerate(members):
                clean = smooth_photo(seed=index)
                for side, image in (("noisy", with_noise(clean, 8, index)), ("clean", clean)):
                    data = encoded(image)
                    member = tarfile.TarInfo(f"{name}_{side}.jpg")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
    return tmp_path


def test_polyu_pack_gives_the_published_crops_with_their_scenes(polyu_pack):
    dataset = open_dataset("polyu", polyu_pack)
    assert names(dataset) == ["CamA_desk_c01", "CamA_desk_c02", "CamB_wall_c01"]
    assert [sample.group for sample in dataset.samples] == ["CamA_desk", "CamA_desk", "CamB_wall"]
    pair = dataset.samples[0].read()
    assert pair.noisy.shape == pair.clean.shape == (40, 48, 3)
    assert psnr(pair.clean, smooth_photo(seed=0)) > 30
    assert psnr(pair.noisy, pair.clean) < 37


@pytest.mark.parametrize(
    ("bounds", "left"),
    [
        ({"max_channel_bias": 2}, ["CamA_desk_c01", "CamB_wall_c01"]),
        ({"low_freq_mismatch": 1.5}, ["CamA_desk_c01", "CamA_desk_c02"]),
        ({"shift": 0.5}, ["CamA_desk_c01", "CamA_desk_c02"]),
    ],
)
def test_polyu_filters_leave_out_what_disagrees_and_say_so(polyu_pack, bounds, left):
    options = DatasetOptions(pair_filter=PairFilter(**bounds))
    dataset = open_dataset("polyu", polyu_pack, options)
    assert names(dataset) == left
    assert "2 of 3 pairs kept" in dataset.protocol


def test_polyu_kinds(polyu_pack):
    fullres = open_dataset("polyu", polyu_pack, DatasetOptions(kind="fullres"))
    assert names(fullres) == ["CamB_wall_f00"]
    assert len(open_dataset("polyu", polyu_pack, DatasetOptions(kind="all")).samples) == 4


def test_a_crop_that_no_tar_holds_is_named(polyu_pack):
    (polyu_pack / "polyu-fullres-000.tar").unlink()
    with pytest.raises(DatasetError, match="CamB_wall_f00_noisy"):
        open_dataset("polyu", polyu_pack, DatasetOptions(kind="fullres"))


def test_polyu_cc_and_nam_as_published(tmp_path):
    for name in ("5dmark3_iso3200_1", "5dmark3_iso3200_2", "d800_iso1600_1"):
        clean = smooth_photo(seed=len(name))
        save(tmp_path / f"{name}_mean.png", clean)
        save(tmp_path / f"{name}_real.png", with_noise(clean, 5))
    for set_name, expected in (("cc", 15), ("nam", 60), ("polyu", 100)):
        dataset = open_dataset(set_name, tmp_path)
        assert names(dataset) == ["5dmark3_iso3200_1", "5dmark3_iso3200_2", "d800_iso1600_1"]
        assert [sample.group for sample in dataset.samples][1:] == [
            "5dmark3_iso3200",
            "d800_iso1600",
        ]
        assert f"3 pairs here; the published set has {expected}" in dataset.protocol
    (tmp_path / "d800_iso1600_1_mean.png").unlink()
    with pytest.raises(DatasetError, match="d800_iso1600_1_mean"):
        open_dataset("cc", tmp_path)


def test_polyu_as_published_in_its_folder_with_upper_case_jpeg(tmp_path):
    photos = {}
    for name in ("Canon5D2_5_160_3200_bicyc_1", "Canon5D2_5_160_3200_bicyc_12", "SonyA7II_door_3"):
        photos[name] = smooth_photo(seed=len(name))
        save(tmp_path / "CroppedImages" / f"{name}_mean.JPG", photos[name])
        save(tmp_path / "CroppedImages" / f"{name}_real.JPG", with_noise(photos[name], 30))
    save(tmp_path / "OriginalImages" / "whole_1_real.JPG", smooth_photo())
    for root in (tmp_path, tmp_path / "CroppedImages"):
        dataset = open_dataset("polyu", root)
        assert {sample.name: sample.group for sample in dataset.samples} == {
            "Canon5D2_5_160_3200_bicyc_1": "Canon5D2_5_160_3200_bicyc",
            "Canon5D2_5_160_3200_bicyc_12": "Canon5D2_5_160_3200_bicyc",
            "SonyA7II_door_3": "SonyA7II_door",
        }
        assert "3 pairs here; the published set has 100" in dataset.protocol
        for sample in dataset.samples:
            clean, pair = photos[sample.name], sample.read()
            assert pair.clean.dtype == pair.noisy.dtype == np.uint8
            assert psnr(pair.clean, clean) > 35
            assert 19 < psnr(pair.noisy, clean) < 25
    (tmp_path / "CroppedImages" / "SonyA7II_door_3_mean.JPG").unlink()
    with pytest.raises(DatasetError, match="SonyA7II_door_3_mean"):
        open_dataset("polyu", tmp_path)


def test_renoir_as_published_matches_the_brightness_of_each_noisy_shot(tmp_path):
    batch = tmp_path / "Mi3_Aligned" / "Batch_001"
    batch.mkdir(parents=True)
    clean = smooth_photo()
    darker = np.clip(0.8 * clean.astype(float) + 3, 0, 255)
    imsave(batch / "IMG_1Reference.bmp", clean, check_contrast=False)
    imsave(batch / "IMG_4full.bmp", clean, check_contrast=False)
    for index in (2, 3):
        noisy = with_noise(darker, 4, index)
        imsave(batch / f"IMG_{index}Noisy.bmp", noisy, check_contrast=False)
    dataset = open_dataset("renoir", tmp_path)
    assert names(dataset) == [
        "Mi3_Aligned/Batch_001/IMG_2Noisy",
        "Mi3_Aligned/Batch_001/IMG_3Noisy",
    ]
    assert "brightness" in dataset.protocol
    assert {sample.photo for sample in dataset.samples} == {"Mi3_Aligned/Batch_001"}
    assert len(dataset.subset(limit=1).samples) == 2
    matched = dataset.samples[0].read()
    assert psnr(matched.clean, darker / 255) > 45
    plain = open_dataset("renoir", tmp_path, DatasetOptions(match_brightness=False))
    np.testing.assert_array_equal(plain.samples[0].read().clean, clean)


def test_renoir_crops_say_how_many_are_left(tmp_path):
    for name in ("batch2", "batch3"):
        for side in ("noisy", "clean"):
            save(tmp_path / side / f"{name}.png", smooth_photo())
    (tmp_path / "index.csv").write_text("name,shift_y,shift_x\nbatch2,0.6,0.4\nbatch3,-0.1,0.3\n")
    assert "pairs kept" not in open_dataset("renoir", tmp_path).protocol
    bound = DatasetOptions(pair_filter=PairFilter(shift=0.5))
    dataset = open_dataset("renoir", tmp_path, bound)
    assert names(dataset) == ["batch3"]
    assert "1 of 2 pairs kept" in dataset.protocol


def test_brightness_matching_finds_the_gain_and_offset_of_each_channel():
    clean = smooth_photo() / 255
    gain, offset = np.array([0.7, 0.9, 0.8]), np.array([0.05, -0.02, 0.0])
    matched = match_brightness(clean, clean * gain + offset)
    np.testing.assert_allclose(matched, clean * gain + offset, atol=1e-9)


def test_nind_takes_the_lowest_iso_as_truth(tmp_path):
    clean = smooth_photo()
    for label, sigma in (("200", 0), ("200-2", 1), ("1600", 6), ("6400", 12), ("H1", 25)):
        save(tmp_path / "bench" / f"NIND_bench_ISO{label}.png", with_noise(clean, sigma))
    save(
        tmp_path / "bench" / "NIND_bench_ISO6400.denoised.png", clean
    )  # beside a photo, by default
    dataset = open_dataset("nind", tmp_path)
    assert names(dataset) == ["bench_ISO1600", "bench_ISO6400", "bench_ISOH1"]
    assert {sample.photo for sample in dataset.samples} == {"bench"}
    assert len(dataset.subset(limit=1).samples) == 3
    np.testing.assert_array_equal(dataset.samples[0].read().clean, clean)


def test_pairs_in_folders_are_named_and_grouped_by_them(tmp_path):
    for side in ("noisy", "clean"):
        save(tmp_path / side / "lone.png", smooth_photo())
    plain = open_dataset("pairs", tmp_path)
    assert (names(plain), plain.samples[0].group, plain.grouping) == (["lone"], "", "")
    for side in ("noisy", "clean"):
        for name in ("desk/1", "desk/iso800/1", "wall/1"):
            save(tmp_path / side / f"{name}.png", smooth_photo())
        for name in (".thumbnails/1", "__MACOSX/1", "desk/._1"):
            save(tmp_path / side / f"{name}.png", smooth_photo())
    nested = open_dataset("pairs", tmp_path)
    assert [(sample.name, sample.group) for sample in nested.samples] == [
        ("desk/1", "desk"),
        ("desk/iso800/1", "desk"),
        ("lone", "lone"),
        ("wall/1", "wall"),
    ]
    assert nested.grouping == "scene"
    assert names(open_dataset("noisy", tmp_path / "noisy")) == names(nested)


def test_a_photo_without_a_partner_is_named_when_it_is_read(tmp_path):
    for name in ("noisy/both", "clean/both", "noisy/alone", "clean/desk/alone"):
        save(tmp_path / f"{name}.png", smooth_photo())
    dataset = open_dataset("pairs", tmp_path)
    assert names(dataset) == ["alone", "both", "desk/alone"]
    first, both, last = dataset.samples
    for sample, place in ((first, "clean/alone"), (last, "noisy/desk/alone")):
        with pytest.raises(DatasetError, match=f"{place}: missing, while the other side has it"):
            sample.read()
    assert both.read().clean is not None
    (tmp_path / "noisy" / "both.png").unlink()
    with pytest.raises(DatasetError, match=r"clean/alone: missing.*\(3 such, and no pair\)"):
        open_dataset("pairs", tmp_path)


def test_pairs_may_be_of_every_kind_that_is_read(tmp_path):
    from PIL import Image

    pillow_heif = pytest.importorskip("pillow_heif")
    pytest.importorskip("pillow_jxl")
    pillow_heif.register_heif_opener()
    clean = smooth_photo(64, 96)
    grey = clean[..., 0]
    for name, image in (("photo.heic", clean), ("grey.heic", grey), ("photo.jxl", clean)):
        Image.fromarray(image).save(tmp_path / name, quality=95)
    for name in ("photo.jpe", "photo.jfif"):
        (tmp_path / name).write_bytes(encoded(clean))
    (tmp_path / "named.heic").write_bytes(encoded(clean))
    for path in sorted(tmp_path.iterdir()):
        for side in ("noisy", "clean"):
            target = tmp_path / "pairs" / side / path.name.replace(".", "-")
            target = target.with_suffix(path.suffix)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    dataset = open_dataset("pairs", tmp_path / "pairs")
    assert len(dataset.samples) == 6
    for sample in dataset.samples:
        noisy, expected = sample.read().noisy, grey if "grey" in sample.name else clean
        assert (noisy.shape, noisy.dtype) == (expected.shape, np.uint8)
        assert psnr(noisy, expected) > 35


def test_a_png_that_is_no_png_says_what_it_is(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\0\0\0\x18ftypheic" + bytes(52))
    with pytest.raises(ImageReadError, match="HEIC"):
        read_file(tmp_path / "a.png")


def test_files_that_macos_puts_beside_photos_are_none(tmp_path):
    clean, batch = smooth_photo(), tmp_path / "renoir" / "Batch_001"
    batch.mkdir(parents=True)
    for name in ("IMG_1Reference.bmp", "IMG_2Noisy.bmp"):
        imsave(batch / name, clean, check_contrast=False)
    for name in ("a_1_mean.png", "a_1_real.png"):
        save(tmp_path / "cc" / name, clean)
    for name in ("NIND_a_ISO200.png", "NIND_a_ISO800.png"):
        save(tmp_path / "nind" / name, clean)
    scene = tmp_path / "sidd-training" / "0001_001_S6_00100_00060_3200_L"
    for name in ("NOISY_SRGB_010.png", "GT_SRGB_010.png"):
        save(scene / name, clean)
    for folder in ("renoir", "cc", "nind", "sidd-training"):
        for path in [each for each in (tmp_path / folder).rglob("*") if each.is_file()]:
            path.with_name(f"._{path.name}").write_bytes(b"Mac OS X")
            archived = tmp_path / folder / "__MACOSX" / path.parent.name / path.name
            archived.parent.mkdir(parents=True, exist_ok=True)
            archived.write_bytes(b"Mac OS X")
        assert len(open_dataset(folder, tmp_path / folder).samples) == 1
    save(tmp_path / "set12" / ".thumbnails" / "01.png", clean)
    save(tmp_path / "set12" / "01.png", clean)
    assert len(open_dataset("gaussian", tmp_path / "set12").samples) == 3


def test_a_name_that_is_not_utf_8_has_a_seed():
    assert seed_of(os.fsdecode(b"latin-\xe9"), 25) == seed_of(os.fsdecode(b"latin-\xe9"), 25)
    assert seed_of("kodim01", 25) == 11819900992752115427


def test_noisy_only_folders_have_no_truth(tmp_path):
    save(tmp_path / "Dog.png", smooth_photo())
    dataset = open_dataset("noisy", tmp_path)
    assert names(dataset) == ["Dog"]
    assert dataset.samples[0].read().clean is None


def test_gaussian_noise_has_its_sigma_and_is_the_same_in_any_subset(tmp_path):
    grey = smooth_photo(120, 120)[..., 0]
    save(tmp_path / "set12" / "01.png", grey)
    save(tmp_path / "set12" / "02.png", grey)
    dataset = open_dataset("gaussian", tmp_path, DatasetOptions(sigmas=(15, 50)))
    assert len(dataset.samples) == 4
    assert {sample.group for sample in dataset.samples} == {"set12 σ=15", "set12 σ=50"}
    for sample in dataset.samples:
        pair = sample.read()
        sigma = float(sample.group.split("=")[1])
        assert pair.noisy.dtype == np.float32
        assert np.std(pair.noisy * 255 - pair.clean) == pytest.approx(sigma, rel=0.03)
        assert pair.noisy.min() < 0 or sigma == 15
    again = open_dataset("gaussian", tmp_path, DatasetOptions(sigmas=(50,))).samples[1].read()
    first = next(s for s in dataset.samples if s.name == "set12/02 σ=50").read()
    np.testing.assert_array_equal(again.noisy, first.noisy)
    other = next(s for s in dataset.samples if s.name == "set12/01 σ=50").read()
    assert not np.array_equal(other.noisy, first.noisy)


def test_grey_and_colour_sets_are_never_one_table(tmp_path):
    save(tmp_path / "set12" / "01.png", smooth_photo()[..., 0])
    save(tmp_path / "kodak8" / "kodim01.png", smooth_photo())
    with pytest.raises(DatasetError, match=r"grey \(set12\) and colour \(kodak8\).*--folder"):
        open_dataset("gaussian", tmp_path)
    both = DatasetOptions(folders=("set12", "kodak8"))
    with pytest.raises(DatasetError, match="--folder"):
        open_dataset("gaussian", tmp_path, both)
    assert len(open_dataset("gaussian", tmp_path, DatasetOptions(folders=("kodak8",))).samples) == 3


@pytest.mark.parametrize(
    ("name", "count", "colour", "said"),
    [
        ("Set12", 12, False, ""),
        ("set12", 2, False, "set12: 2 images here; the published set has 12."),
        ("set12", 12, True, "set12: colour images here; the published set is grey."),
        ("mine", 2, True, ""),
    ],
)
def test_published_numbers_are_of_the_published_set(tmp_path, name, count, colour, said):
    (tmp_path / name).mkdir()
    for number in range(count):
        shape = (16, 16, 3) if colour else (16, 16)
        save(tmp_path / name / f"{number}.png", np.zeros(shape, np.uint8))
    dataset = open_dataset("gaussian", tmp_path)
    assert dataset.as_published == (not said)
    assert dataset.protocol.endswith(f"of 255.{' ' if said else ''}{said}")


def test_gaussian_noise_is_seeded():
    image = np.full((16, 16), 128, np.uint8)
    np.testing.assert_array_equal(
        add_gaussian_noise(image, 25, 3), add_gaussian_noise(image, 25, 3)
    )


def test_subsets_are_stated_and_never_empty(tmp_path):
    for index in range(5):
        save(tmp_path / f"photo{index}.png", smooth_photo())
    dataset = open_dataset("noisy", tmp_path).subset(every=2)
    assert names(dataset) == ["photo0", "photo2", "photo4"]
    assert "3 of 5" in dataset.selection
    with pytest.raises(DatasetError, match="no image is left"):
        dataset.subset(contains="sunset")


@pytest.mark.parametrize(
    "name", ["pairs", "polyu", "cc", "renoir", "nind", "sidd", "dnd", "gaussian"]
)
def test_an_empty_folder_is_a_clear_error(tmp_path, name):
    with pytest.raises(DatasetError, match=str(tmp_path)):
        open_dataset(name, tmp_path)


def test_the_packs_at_hand(shared):
    polyu = open_dataset("polyu", shared / "data" / "real" / "polyu")
    assert len(polyu.samples) == 62
    pair = polyu.samples[0].read()
    assert pair.noisy.shape == (512, 512, 3)
    assert len(open_dataset("renoir", shared / "data" / "real" / "renoir").samples) == 13
    sidd = open_dataset("sidd-sample", shared / "data" / "real" / "sidd-sample").samples
    assert len(sidd) == 4
    assert len({sample.group for sample in sidd}) == 3  # two are of one photo
    assert [sample.photo for sample in sidd] == [sample.group for sample in sidd]


def test_a_subset_has_a_photo_under_every_noise_or_not_at_all(tmp_path):
    for name in "abc":
        save(tmp_path / f"{name}.png", smooth_photo(16, 16))
    for dataset, noises in (("gaussian", 3), ("estimator", 6)):
        whole = open_dataset(dataset, tmp_path)
        half = whole.subset(every=2)
        assert len(half.samples) == 2 * noises
        assert {s.group for s in half.samples} == {s.group for s in whole.samples}
        assert len(whole.subset(limit=1).samples) == noises


def test_bounds_need_an_index_with_their_numbers(polyu_pack, tmp_path):
    bound = DatasetOptions(pair_filter=PairFilter(max_channel_bias=2))
    index = polyu_pack / "index.csv"
    text = index.read_text()
    for wrong in ("", "much", "nan"):
        index.write_text(text.replace("2.6", wrong))
        with pytest.raises(DatasetError, match="CamA_desk_c02 has no number as max_channel_bias"):
            open_dataset("polyu", polyu_pack, bound)
    assert len(open_dataset("polyu", polyu_pack).samples) == 3


def test_a_published_folder_refuses_what_only_an_index_can_answer(tmp_path):
    clean = smooth_photo()
    save(tmp_path / "polyu" / "a_1_mean.png", clean)
    save(tmp_path / "polyu" / "a_1_real.png", clean)
    batch = tmp_path / "renoir" / "Batch_001"
    batch.mkdir(parents=True)
    for name in ("IMG_1Reference.bmp", "IMG_2Noisy.bmp"):
        imsave(batch / name, clean, check_contrast=False)
    for name, options, said in (
        ("polyu", DatasetOptions(kind="fullres"), "--kind"),
        ("polyu", DatasetOptions(pair_filter=PairFilter(max_channel_bias=2)), "--max-channel-bias"),
        ("renoir", DatasetOptions(pair_filter=PairFilter(shift=1)), "--shift"),
    ):
        assert len(open_dataset(name, tmp_path / name).samples) == 1
        with pytest.raises(DatasetError, match=f"no index.csv, which {said}"):
            open_dataset(name, tmp_path / name, options)


@pytest.mark.parametrize("sigmas", [(float("nan"),), (float("inf"),), (0.0,), (25.0, 15.0, 25.0)])
def test_noise_levels_that_are_none_or_given_twice_are_refused(tmp_path, sigmas):
    save(tmp_path / "a.png", smooth_photo(16, 16))
    with pytest.raises(DatasetError, match="--sigma"):
        open_dataset("gaussian", tmp_path, DatasetOptions(sigmas=sigmas))
    with pytest.raises(DatasetError, match="--folder"):
        open_dataset("gaussian", tmp_path, DatasetOptions(folders=("x", "x")))


def test_paths_that_cannot_be_reached_are_named(tmp_path, monkeypatch):
    long = tmp_path / ("n" * 300)
    with pytest.raises(DatasetError, match="no such folder"):
        open_dataset("pairs", long)
    require_writable_file(long / "report.html")
    with pytest.raises(ImageWriteError, match="File name too long"), whole_file(long / "a.html"):
        pass

    def closed(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(DatasetError, match="Permission denied; check the path"):
        open_dataset("noisy", tmp_path)
