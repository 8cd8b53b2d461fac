"""DND and SIDD: stand-ins in the real file formats, through a denoiser, to checked bundles."""

import base64
import contextlib
import csv
import json

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from aindnet.errors import DatasetError, ImageWriteError
from aindnet.evaluation.datasets import open_dataset
from aindnet.evaluation.datasets.dnd import read_boxes
from aindnet.evaluation.methods.method import Denoised, Noisy
from aindnet.evaluation.runner import evaluate
from aindnet.evaluation.submission import (
    bundle_dnd,
    bundle_sidd,
    denoise_dnd,
    denoise_sidd,
    submit,
)
from aindnet.photo import write_image
from evaluation_stand_ins import smooth_photo, with_noise

BOXES = [[(1, 1, 16, 16), (21, 31, 36, 46)], [(90, 100, 105, 115), (40, 5, 55, 20)]]
"""Two photos, two boxes in each: 1-based, inclusive, (top, left, bottom, right)."""


@contextlib.contextmanager
def matlab_73(path):
    """An HDF5 file as MATLAB writes it: behind a block of 512 bytes with its own header."""
    with h5py.File(path, "w", userblock_size=512) as file:
        yield file
    with path.open("r+b") as file:
        text = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 ."
        file.write(text.ljust(116) + bytes(8) + b"\x00\x02IM")


@pytest.fixture
def dnd_folder(tmp_path):
    """MATLAB 7.3 files as published: arrays transposed, boxes behind object references."""
    with matlab_73(tmp_path / "info.mat") as file:
        info = file.create_group("info")
        info.attrs["MATLAB_class"] = np.bytes_("struct")
        references = info.create_dataset("boundingboxes", (1, len(BOXES)), dtype=h5py.ref_dtype)
        references.attrs["MATLAB_class"] = np.bytes_("cell")
        for index, boxes in enumerate(BOXES):
            table = file.create_dataset(f"#refs#/b{index}", data=np.array(boxes, float).T)
            table.attrs["MATLAB_class"] = np.bytes_("double")
            references[0, index] = table.ref
    (tmp_path / "images_srgb").mkdir()
    for index in range(len(BOXES)):
        photo = smooth_photo(110, 130, seed=index).astype(np.float32) / 255
        with matlab_73(tmp_path / "images_srgb" / f"{index + 1:04d}.mat") as file:
            file["InoisySRGB"] = photo.T
            file["InoisySRGB"].attrs["MATLAB_class"] = np.bytes_("single")
    return tmp_path


class CountingIdentity(Noisy):
    """Hands back its input and remembers the shapes it saw."""

    shapes: list

    def __call__(self, noisy):
        self.shapes.append(noisy.shape)
        return Denoised(noisy)


@pytest.fixture
def identity():
    method = CountingIdentity()
    object.__setattr__(method, "shapes", [])
    return method


def test_dnd_boxes_are_read_with_clipped_context_and_cut_out_exactly(dnd_folder):
    dataset = open_dataset("dnd", dnd_folder)
    assert [s.name for s in dataset.samples] == ["0001_01", "0001_02", "0002_01", "0002_02"]
    for sample, box in zip(dataset.samples, [box for of in BOXES for box in of], strict=True):
        photo = smooth_photo(110, 130, seed=int(sample.name[:4]) - 1).astype(np.float32) / 255
        top, left, bottom, right = box
        pair = sample.read()
        np.testing.assert_array_equal(
            pair.noisy[sample.window], photo[top - 1 : bottom, left - 1 : right]
        )
        rows = slice(max(0, top - 1 - 80), bottom + 80)
        columns = slice(max(0, left - 1 - 80), right + 80)
        np.testing.assert_array_equal(pair.noisy, photo[rows, columns])


def test_dnd_bundle_of_an_identity_holds_the_noisy_boxes(dnd_folder, identity, tmp_path):
    crops, bundle = tmp_path / "crops", tmp_path / "bundled"
    denoise_dnd(open_dataset("dnd", dnd_folder), identity, crops)
    assert identity.shapes[0] == (96, 96, 3)
    bundle_dnd(read_boxes(dnd_folder), crops, bundle)
    assert sorted(path.name for path in bundle.iterdir()) == ["0001.mat", "0002.mat"]
    contents = loadmat(bundle / "0002.mat")
    assert contents["eval_version"][0] == "1.0"
    assert not contents["israw"].item()
    cell = contents["Idenoised"].reshape(-1)
    assert cell.dtype == object
    photo = smooth_photo(110, 130, seed=1).astype(np.float32) / 255
    np.testing.assert_array_equal(cell[1], photo[39:55, 4:20])
    assert cell[1].dtype == np.float32


def test_dnd_resumes_with_the_crops_that_are_whole(dnd_folder, identity, tmp_path):
    dataset, crops = open_dataset("dnd", dnd_folder), tmp_path / "crops"
    denoise_dnd(dataset, identity, crops)
    (crops / "0001_02.mat").unlink()
    identity.shapes.clear()
    denoise_dnd(dataset, identity, crops)
    assert len(identity.shapes) == 1


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.write_bytes(b"cut off"), "not a readable"),
        (
            lambda path: savemat(path, {"Idenoised_crop": np.zeros((16, 15, 3), np.float32)}),
            "16, 15, 3",
        ),
        (lambda path: savemat(path, {"Idenoised_crop": np.zeros((16, 16, 3))}), "float64"),
        (
            lambda path: savemat(path, {"Idenoised_crop": np.full((16, 16, 3), 1.2, np.float32)}),
            "outside",
        ),
        (
            lambda path: savemat(
                path, {"Idenoised_crop": np.full((16, 16, 3), np.nan, np.float32)}
            ),
            "outside",
        ),
    ],
)
def test_a_damaged_crop_stops_the_bundle(dnd_folder, identity, tmp_path, damage, said):
    crops, bundle = tmp_path / "crops", tmp_path / "bundled"
    denoise_dnd(open_dataset("dnd", dnd_folder), identity, crops)
    damage(crops / "0002_01.mat")
    with pytest.raises(DatasetError, match=said) as error:
        bundle_dnd(read_boxes(dnd_folder), crops, bundle)
    assert "0002_01" in str(error.value)
    assert not bundle.exists()


def test_dnd_errors_name_the_file(dnd_folder):
    path = dnd_folder / "images_srgb" / "0002.mat"
    path.unlink()
    sample = open_dataset("dnd", dnd_folder).samples[2]
    with pytest.raises(DatasetError, match=r"0002\.mat: no such file; request the DND"):
        sample.read()
    path.write_bytes(b"not HDF5")
    with pytest.raises(DatasetError, match=r"0002\.mat: not a readable version 7\.3"):
        sample.read()
    with h5py.File(path, "w") as file:
        file["InoisyRaw"] = np.zeros((3, 4, 5))
    with pytest.raises(DatasetError, match="InoisyRaw"):
        sample.read()


def sidd_blocks(images=2, blocks=3, side=32):
    clean = np.stack(
        [
            np.stack([smooth_photo(side, side, seed=9 * i + b) for b in range(blocks)])
            for i in range(images)
        ]
    )
    return with_noise(clean, 15), clean


def test_sidd_validation_is_read_block_by_block(tmp_path):
    noisy, clean = sidd_blocks()
    savemat(tmp_path / "ValidationNoisyBlocksSrgb.mat", {"ValidationNoisyBlocksSrgb": noisy})
    savemat(tmp_path / "ValidationGtBlocksSrgb.mat", {"ValidationGtBlocksSrgb": clean})
    dataset = open_dataset("sidd", tmp_path)
    assert len(dataset.samples) == 6
    sample = dataset.samples[4]
    assert sample.name == "01_01"
    np.testing.assert_array_equal(sample.read().noisy, noisy[1, 1])
    np.testing.assert_array_equal(sample.read().clean, clean[1, 1])


@pytest.mark.parametrize("prefix", ["", "0001_"], ids=["small", "medium"])
def test_sidd_training_photos_stand_by_scene(tmp_path, prefix):
    clean = smooth_photo(24, 32)
    for folder in ("0001_001_S6_00100_00060_3200_L", "0002_001_GP_00400_00100_5500_N"):
        where = tmp_path / "Data" / folder
        where.mkdir(parents=True)
        write_image(where / f"{prefix}NOISY_SRGB_010.PNG", with_noise(clean, 15))
        write_image(where / f"{prefix}GT_SRGB_010.PNG", clean)
    dataset = open_dataset("sidd-training", tmp_path)
    assert [sample.group for sample in dataset.samples] == ["scene 001"] * 2
    np.testing.assert_array_equal(dataset.samples[0].read().clean, clean)
    assert evaluate(dataset, [Noisy()]).method("noisy").photos == ["scene 001"] * 2
    assert len(dataset.subset(limit=1).samples) == 1
    (only,) = dataset.subset(contains="_GP_").samples
    assert only.name == "0002_001_GP_00400_00100_5500_N/010"
    (where / f"{prefix}GT_SRGB_010.PNG").unlink()
    with pytest.raises(DatasetError, match=r"GT_SRGB_010\.PNG beside it"):
        open_dataset("sidd-training", tmp_path)


def test_sidd_errors_say_what_is_wrong(tmp_path):
    noisy, _ = sidd_blocks()
    with pytest.raises(
        DatasetError, match=r"ValidationNoisyBlocksSrgb\.mat: no such file; download"
    ):
        open_dataset("sidd", tmp_path)
    path = tmp_path / "ValidationNoisyBlocksSrgb.mat"
    savemat(path, {"ValidationNoisyBlocksSrgb": noisy.astype(np.float32)})
    with pytest.raises(DatasetError, match="float32 of shape"):
        open_dataset("sidd", tmp_path)
    savemat(path, {"Blocks": noisy})
    with pytest.raises(DatasetError, match="holds"):
        open_dataset("sidd", tmp_path)
    path.write_bytes(b"MATLAB no more")
    with pytest.raises(DatasetError, match="not a readable"):
        open_dataset("sidd", tmp_path)


def test_sidd_submission_round_trip(tmp_path):
    noisy, _ = sidd_blocks()
    savemat(tmp_path / "BenchmarkNoisyBlocksSrgb.mat", {"BenchmarkNoisyBlocksSrgb": noisy})
    blocks, bundle = tmp_path / "blocks", tmp_path / "bundle"
    denoise_sidd(open_dataset("sidd-benchmark", tmp_path), Noisy(), blocks)
    bundle_sidd(blocks, bundle, shape=(2, 3, 32), seconds_per_megapixel=1.5, method="identity")
    with (bundle / "SubmitSrgb.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["ID"]) for row in rows] == list(range(6))
    for row in rows:
        block = np.frombuffer(base64.b64decode(row["BLOCK"]), np.uint8).reshape(32, 32, 3)
        np.testing.assert_array_equal(block, noisy[int(row["ID"]) // 3, int(row["ID"]) % 3])
    contents = loadmat(bundle / "SubmitSrgb.mat")
    assert contents["DenoisedBlocksSrgb"].shape == (2, 3)
    np.testing.assert_array_equal(contents["DenoisedBlocksSrgb"][1, 2], noisy[1, 2])
    assert contents["TimeMPSrgb"].item() == 1.5


def test_an_incomplete_sidd_run_is_not_bundled(tmp_path):
    noisy, _ = sidd_blocks()
    savemat(tmp_path / "BenchmarkNoisyBlocksSrgb.mat", {"BenchmarkNoisyBlocksSrgb": noisy})
    blocks, bundle = tmp_path / "blocks", tmp_path / "bundle"
    denoise_sidd(open_dataset("sidd-benchmark", tmp_path), Noisy(), blocks)
    np.save(blocks / "01_00.npy", noisy[1, 0].astype(np.float32))
    for damaged in ("float32", "missing"):
        with pytest.raises(DatasetError, match=damaged):
            bundle_sidd(blocks, bundle, shape=(2, 3, 32), seconds_per_megapixel=1, method="m")
        assert not bundle.exists() or not any(bundle.iterdir())
        (blocks / "01_00.npy").unlink(missing_ok=True)


def test_a_replaced_photo_is_denoised_again(dnd_folder, identity, tmp_path):
    crops = tmp_path / "crops"
    denoise_dnd(open_dataset("dnd", dnd_folder), identity, crops)
    changed = smooth_photo(110, 130, seed=7).astype(np.float32) / 255
    with matlab_73(dnd_folder / "images_srgb" / "0002.mat") as file:
        file["InoisySRGB"] = changed.T
    identity.shapes.clear()
    dataset = open_dataset("dnd", dnd_folder)
    assert denoise_dnd(dataset, identity, crops) == []
    assert len(identity.shapes) == 2
    top, left, bottom, right = BOXES[1][0]
    np.testing.assert_array_equal(
        loadmat(crops / "0002_01.mat")["Idenoised_crop"],
        changed[top - 1 : bottom, left - 1 : right],
    )


def test_a_damaged_photo_is_named_and_the_others_are_denoised(dnd_folder, identity, tmp_path):
    (dnd_folder / "images_srgb" / "0001.mat").write_bytes(b"not HDF5")
    failed = denoise_dnd(open_dataset("dnd", dnd_folder), identity, tmp_path / "crops")
    assert [part.name for part in failed] == ["0001_01", "0001_02"]
    assert "0001.mat" in failed[0].error
    assert len(list((tmp_path / "crops").glob("*.mat"))) == 2


def test_only_a_whole_benchmark_is_bundled(dnd_folder, tmp_path, monkeypatch):
    with pytest.raises(DatasetError, match="4 boxes of 2 photos; DND has 20 boxes in each of 50"):
        submit(open_dataset("dnd", dnd_folder), Noisy(), dnd_folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr("aindnet.evaluation.submission.dnd.PHOTOS", 2)
    monkeypatch.setattr("aindnet.evaluation.submission.dnd.BOXES", 2)
    document = submit(open_dataset("dnd", dnd_folder), Noisy(), dnd_folder, tmp_path / "out")
    assert document["failed"] == []
    assert len(list((tmp_path / "out/bundle").iterdir())) == 2
    # A subset, whoever denoises it, and a run of the same method that fails leave it.
    described = (tmp_path / "out/submission.json").read_text()
    dataset, other = open_dataset("dnd", dnd_folder), Noisy("other", fingerprint="other")
    submit(dataset, other, dnd_folder, tmp_path / "out", complete=False)
    (dnd_folder / "images_srgb" / "0001.mat").write_bytes(b"not HDF5")
    document = submit(dataset, Noisy(), dnd_folder, tmp_path / "out")
    assert document["failed"]
    assert document["bundle"] is None
    assert len(list((tmp_path / "out/bundle").iterdir())) == 2
    assert (tmp_path / "out/submission.json").read_text() == described
    # Another method's complete run that fails leaves no bundle of this one's behind.
    document = submit(dataset, other, dnd_folder, tmp_path / "out")
    assert document["failed"]
    assert document["bundle"] is None
    assert not (tmp_path / "out/bundle").exists()
    assert json.loads((tmp_path / "out/submission.json").read_text())["method"] == "other"


def test_a_bundle_that_nothing_describes_is_not_taken_for_a_failed_run_s(
    dnd_folder, tmp_path, monkeypatch
):
    """`submission.json` is written last, so a kill may leave a bundle without it."""
    monkeypatch.setattr("aindnet.evaluation.submission.dnd.PHOTOS", 2)
    monkeypatch.setattr("aindnet.evaluation.submission.dnd.BOXES", 2)
    (tmp_path / "out/bundle").mkdir(parents=True)
    (tmp_path / "out/bundle/0001.mat").touch()
    (dnd_folder / "images_srgb" / "0001.mat").write_bytes(b"not HDF5")
    submit(open_dataset("dnd", dnd_folder), Noisy(), dnd_folder, tmp_path / "out")
    assert not (tmp_path / "out/bundle").exists()


def test_what_is_not_of_a_bundle_is_never_removed(dnd_folder, tmp_path):
    thesis = tmp_path / "out/bundle/thesis.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("mine")
    dataset = open_dataset("dnd", dnd_folder)
    with pytest.raises(DatasetError, match=r"thesis\.txt: is not of a bundle"):
        submit(dataset, Noisy(), dnd_folder, tmp_path / "out", complete=False)
    assert thesis.read_text() == "mine"
    assert not (tmp_path / "out/submission.json").exists()


def test_damaged_parts_are_made_again(dnd_folder, identity, tmp_path):
    dataset, crops = open_dataset("dnd", dnd_folder), tmp_path / "crops"
    denoise_dnd(dataset, identity, crops)
    (crops / "0001_02.mat").write_bytes(b"junk")
    identity.shapes.clear()
    assert denoise_dnd(dataset, identity, crops) == []
    assert len(identity.shapes) == 1
    bundle_dnd(read_boxes(dnd_folder), crops, tmp_path / "bundled")
    noisy, _ = sidd_blocks()
    savemat(tmp_path / "BenchmarkNoisyBlocksSrgb.mat", {"BenchmarkNoisyBlocksSrgb": noisy})
    dataset, blocks = open_dataset("sidd-benchmark", tmp_path), tmp_path / "blocks"
    denoise_sidd(dataset, identity, blocks)
    (blocks / "01_02.npy").write_bytes(b"junk")
    identity.shapes.clear()
    assert denoise_sidd(dataset, identity, blocks) == []
    assert len(identity.shapes) == 1
    bundle_sidd(blocks, tmp_path / "sidd", shape=(2, 3, 32), seconds_per_megapixel=1, method="m")


def test_a_sidd_bundle_that_cannot_be_finished_is_not_there(tmp_path, monkeypatch):
    noisy, _ = sidd_blocks()
    savemat(tmp_path / "BenchmarkNoisyBlocksSrgb.mat", {"BenchmarkNoisyBlocksSrgb": noisy})
    blocks, bundle = tmp_path / "blocks", tmp_path / "bundle"
    denoise_sidd(open_dataset("sidd-benchmark", tmp_path), Noisy(), blocks)

    def full(path, contents):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scipy.io.savemat", full)
    with pytest.raises(ImageWriteError, match="No space left"):
        bundle_sidd(blocks, bundle, shape=(2, 3, 32), seconds_per_megapixel=1, method="m")
    assert not bundle.exists()


def test_damage_inside_a_file_is_a_named_error(dnd_folder, tmp_path):
    path = dnd_folder / "images_srgb" / "0001.mat"
    photo = np.random.default_rng(0).random((3, 130, 110)).astype(np.float32)
    with matlab_73(path) as file:
        file.create_dataset("InoisySRGB", data=photo, compression="gzip")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = bytes(4000)
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"0001\.mat"):
        open_dataset("dnd", dnd_folder).samples[0].read()
    noisy, _ = sidd_blocks()
    path = tmp_path / "BenchmarkNoisyBlocksSrgb.mat"
    savemat(path, {"BenchmarkNoisyBlocksSrgb": noisy}, do_compression=True)
    content = bytearray(path.read_bytes())
    content[3000:3400] = bytes(400)
    for damaged in (bytes(content), bytes(content[:60])):
        path.write_bytes(damaged)
        with pytest.raises(DatasetError, match="not a readable"):
            open_dataset("sidd-benchmark", tmp_path)


def test_blocks_of_one_sidd_image_are_one_draw_to_the_intervals(tmp_path):
    noisy, clean = sidd_blocks()
    savemat(tmp_path / "ValidationNoisyBlocksSrgb.mat", {"ValidationNoisyBlocksSrgb": noisy})
    savemat(tmp_path / "ValidationGtBlocksSrgb.mat", {"ValidationGtBlocksSrgb": clean})
    assert len({sample.photo for sample in open_dataset("sidd", tmp_path).samples}) == 2
