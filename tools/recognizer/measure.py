#!/usr/bin/env python3
"""Measures the promise on people from whom nothing was learned: the half of lfw and cfp that
background.py left alone.

DATA holds celeb24/test, lfw, cfp with names.tsv, and fairface with labels.csv. `pairs` compares
pictures by the embedding: same and different people of lfw, frontals and profiles of cfp, and how
evenly the groups of fairface are told apart. `galleries` goes through the binary: people are added by
`celebcam enroll`, pictures as they are, and `celebcam identify` says who is on their other pictures
and on strangers'. Of these the faces are cut out once, as `celebcam crop` does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from onnx import numpy_helper

from background import WORK, cfp_names, crop, groups_of, half, plain
from celebrities import table
from celebtrainer import REPOSITORY, background, decision, modelfile, openset, prototypes
from celebtrainer.data import pictures
from celebtrainer.faces import find_binary
from celebtrainer.failure import Failure, run

# Frontals of a person of cfp who is added, and sizes of galleries of lfw.
FRONTALS = 5
SIZES = (1, 5, 20, 200)


def half_of(embedding: Path) -> int:
    """The half that was left alone when this embedding was made."""
    return 1 - modelfile.read(modelfile.load(embedding))["background"]["half"]


def share(part: int, whole: int) -> str:
    """A share in words."""
    return f"{part} of {whole} ({part / max(1, whole):.2%})"


def equal_error(same: np.ndarray, different: np.ndarray) -> float:
    """The rate at which as many of the same people are refused as of different ones accepted."""
    thresholds = np.sort(same)
    refused = np.arange(len(same)) / len(same)
    accepted = 1 - np.searchsorted(np.sort(different), thresholds) / len(different)
    nearest = np.argmin(abs(refused - accepted))
    return float(refused[nearest] + accepted[nearest]) / 2


def told_rightly(same: np.ndarray, different: np.ndarray) -> float:
    """The share of pairs told rightly at the cosine that does best, as many of one person as of two."""
    thresholds = np.sort(same)
    accepted = 1 - np.arange(len(same)) / len(same)
    refused = np.searchsorted(np.sort(different), thresholds) / len(different)
    return float((accepted + refused).max()) / 2


@dataclass(frozen=True)
class Measure:
    """Where things lie: the data, the crops, the binary and what is measured."""

    data: Path
    work: Path
    binary: str
    embedding: Path
    model: Path

    def crops(self, of: str) -> dict[Path, Path]:
        """Photo -> crop of the largest face."""
        return crop(self.data / of, self.work / "crops" / of, self.binary)

    def lfw(self) -> dict[str, list[Path]]:
        """The photos of each person of lfw who is measured."""
        part = half_of(self.embedding)
        return {f.name: pictures(f) for f in sorted((self.data / "lfw").iterdir()) if half(f.name) == part}  # fmt: skip

    def cfp(self) -> dict[str, str]:
        """Folders and names of the people of cfp who are measured."""
        part = half_of(self.embedding)
        known = self.own()
        found = cfp_names(self.data)
        return {f: n for f, n in found.items() if half(n) == part and plain(n) not in known}

    def own(self) -> dict[str, str]:
        """The model's people by their plain names; of more than two words the first and last do too."""
        labels = modelfile.read(modelfile.load(self.model))["labels"]
        names = [entry["name"] for entry in labels]
        return {plain(n): n for n in names} | {
            plain(n.split()[0] + n.split()[-1]): n for n in names
        }

    def embed(self, paths: list[Path], title: str) -> np.ndarray:
        return modelfile.Runner(self.embedding).outputs_of(paths, title, "embedding")


def lfw_pairs(on: Measure) -> None:
    """All pairs of pictures of lfw."""
    made, people = on.crops("lfw"), on.lfw()
    known = [(name, made[p]) for name, photos in people.items() for p in photos if p in made]
    photos = sum(map(len, people.values()))
    print(f"lfw: {len(people)} people, {photos} pictures, a face on {len(known)}")
    numbers = np.unique([name for name, _ in known], return_inverse=True)[1]
    embeddings = on.embed([path for _, path in known], "lfw")
    first, second = np.triu_indices(len(known), 1)
    cosines = (embeddings @ embeddings.T)[first, second]
    alike = numbers[first] == numbers[second]
    same, different = cosines[alike], np.sort(cosines[~alike])[::-1]
    print(f"  {len(same)} pairs of the same and {len(different)} of different people")
    for rate in (1e-3, 1e-4, 1e-5):
        threshold = different[int(rate * len(different))]
        print(f"  true accepts at {rate:.0e} false matches: {(same >= threshold).mean():.2%}")
    print(f"  equal error: {equal_error(same, different):.2%}")


def cfp_pairs(on: Measure) -> None:
    """Each profile of cfp against the people's frontals."""
    made = on.crops("cfp")
    means, profiles, owners, fronts = [], [], [], []
    for number in on.cfp():
        folder = on.data / "cfp" / number
        frontal = [made[p] for p in pictures(folder / "frontal") if p in made]
        profile = [made[p] for p in pictures(folder / "profile") if p in made]
        if not frontal or not profile:
            continue
        own = on.embed(frontal, number)
        means.append(background.unit(own[:FRONTALS].mean(axis=0)[None])[0])
        fronts.append(own)
        profiles.append(on.embed(profile, number))
        owners += [len(means) - 1] * len(profile)
    found, rows, owner = np.concatenate(profiles), np.stack(means), np.array(owners)
    cosines = found @ rows.T
    print(f"cfp: {len(rows)} people, {len(found)} profiles with a face")
    print(f"  profile nearest to the mean of its person's first frontals: {(cosines.argmax(axis=1) == owner).mean():.2%}")  # fmt: skip
    pairs = [found @ own.T for own in fronts]
    same = np.concatenate([p[owner == k].ravel() for k, p in enumerate(pairs)])
    different = np.concatenate([p[owner != k].ravel() for k, p in enumerate(pairs)])
    print(f"  pairs of frontal and profile told rightly: {told_rightly(same, different):.2%}")


def group_pairs(on: Measure) -> None:
    """How often different people of one group match."""
    groups = groups_of(on.data, on.work / "crops", on.binary)
    pairs = {}
    for group, paths in groups.items():
        rows = on.embed(paths, group)
        pairs[group] = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
    everything = np.sort(np.concatenate(list(pairs.values())))[::-1]
    print(f"fairface: {sum(map(len, groups.values()))} faces of {len(groups)} groups")
    for rate in (1e-2, 1e-3):
        threshold = everything[int(rate * len(everything))]
        rates = {group: float((found >= threshold).mean()) for group, found in pairs.items()}
        worst, best = max(rates, key=rates.get), min(rates, key=rates.get)
        print(f"  where {rate:.1%} of pairs match: {worst} {rates[worst]:.2%}, {best} {rates[best]:.2%}, "
              f"{rates[worst] / max(rates[best], 1e-9):.1f} times as often")  # fmt: skip


@dataclass
class Gallery:
    """A gallery of people added by the binary."""

    on: Measure
    folder: Path
    added: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def add(self, name: str, photos: list[Path]) -> None:
        """Adds somebody without a flag; who is refused is counted."""
        command = [self.on.binary, "--quiet", "enroll", name, "--model", str(self.on.model)]
        command += [*map(str, photos), "--gallery", str(self.folder / "gallery")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        (self.refused if done.returncode else self.added).append(name)

    def said(self, photos: list[Path], crops: bool) -> dict[Path, dict]:
        """What is said of the largest face of each photo that has one."""
        links = self.folder / "photos"
        links.mkdir()
        for number, photo in enumerate(photos):
            (links / f"{number}{photo.suffix}").symlink_to(photo.resolve())
        command = [self.on.binary, "--quiet", "identify", "--model", str(self.on.model)]
        command += ["--format", "json", "--gallery", str(self.folder / "gallery"), str(links)]
        done = subprocess.run([*command, *["--crops"] * crops], capture_output=True, text=True, check=False)  # fmt: skip
        if done.returncode:
            raise Failure(f"{self.on.binary} identify failed: {done.stderr.strip()[-300:]}")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        for link in links.iterdir():
            link.unlink()
        links.rmdir()
        return {photos[int(Path(line["file"]).stem)]: line for line in reversed(lines)}

    def rates(self, title: str, photos: dict[Path, str | None], crops: bool = False) -> None:
        """Prints how many photos get the right name; of a stranger the name is None."""
        if not photos:
            return
        said = self.said(list(photos), crops)
        named = {p: line["name"] for p, line in said.items() if line["name"] is not None}
        right = sum(photos[p] == name for p, name in named.items())
        nearest = sum(
            line["top"][0]["name"] == photos[p] for p, line in said.items() if line["top"]
        )
        known = sum(name is not None for name in photos.values())
        wrong = len(named) - right
        if known:
            print(
                f"  {title}: {share(right, known)} named rightly, {wrong} wrongly, {nearest} nearest"
            )
        else:
            print(f"  {title}: {share(wrong, len(photos))} named")
        for photo, name in named.items():
            if photos[photo] != name:
                print(f"    {photo}: {name} {said[photo]['confidence']:.0%}")


def shipped(on: Measure, folder: Path) -> None:
    """The model's own people, before their test pictures and strangers."""
    gallery = Gallery(on, folder)
    names = on.own()
    test = {p: names[plain(f.name)] for f in sorted((on.data / "celeb24" / "test").iterdir()) for p in pictures(f)}  # fmt: skip
    print(f"the {len(set(names.values()))} people of {on.model.name}:")
    gallery.rates("celeb24/test", test, crops=True)
    gallery.rates("strangers of lfw", strangers(on, set()), crops=True)
    cfp = {
        kind: {p: names.get(plain(name)) for number, name in cfp_names(on.data).items() if plain(name) in names for p in pictures(on.data / "cfp" / number / kind)}
        for kind in ("frontal", "profile")
    }  # fmt: skip
    learned = {n for n, name, *_ in table() if plain(name) in names}
    if learned:
        seen = on.crops("lfw")
        again = {
            seen[p]: names[plain(p.parent.name)] for p in seen if plain(p.parent.name) in names
        }
        gallery.rates("lfw", again, crops=True)
        left_out(on, learned)
        return
    for kind, photos in cfp.items():
        gallery.rates(f"cfp, {kind}", photos)


def left_out(on: Measure, folders: set[str]) -> None:
    """Pictures of cfp from which the model was made, each left out of its person's mean."""
    made, model = on.crops("cfp"), modelfile.load(on.model)
    rows = next(numpy_helper.to_array(i) for i in model.graph.initializer if i.name == "people")
    properties = modelfile.read(model)
    labels = [entry["name"] for entry in properties["labels"]]
    rule = decision.among(properties["decision"], len(labels))
    right = {"frontal": [], "profile": []}
    for number, name, *_ in table():
        if number not in folders:
            continue
        photos = [
            p for kind in right for p in pictures(on.data / "cfp" / number / kind) if p in made
        ]
        own = on.embed([made[p] for p in photos], name)
        others = background.unit(own.sum(axis=0) - own)
        cosines = own @ rows.T
        cosines[:, labels.index(name)] = (own * others).sum(axis=1)
        said = openset.answers(cosines, "cosine")
        named = said.rejected_below(rule["margin"]) >= decision.to_similarity(rule)
        for photo, is_right in zip(photos, named & (said.best == labels.index(name)), strict=True):
            right[photo.parent.name].append(is_right)
    for kind, found in right.items():
        print(f"  cfp, {kind}, each left out: {share(sum(found), len(found))} named rightly")


def strangers(on: Measure, known: set[str]) -> dict[Path, str | None]:
    """Crops of the people of lfw who are measured and not known."""
    made, known = on.crops("lfw"), known | set(on.own())
    return {made[p]: None for name, photos in on.lfw().items() if plain(name) not in known for p in photos if p in made}  # fmt: skip


def added_of_cfp(on: Measure, folder: Path) -> None:
    """People of cfp added from frontals."""
    gallery, names = Gallery(on, folder), on.cfp()
    for number, name in names.items():
        gallery.add(name, pictures(on.data / "cfp" / number / "frontal")[:FRONTALS])
    print(f"and {len(gallery.added)} people of cfp, {FRONTALS} frontals each, {len(gallery.refused)} refused:")  # fmt: skip
    for kind, first in (("frontal", FRONTALS), ("profile", 0)):
        gallery.rates(kind, {p: name for number, name in names.items() if name in gallery.added
                             for p in pictures(on.data / "cfp" / number / kind)[first:]})  # fmt: skip
    gallery.rates("strangers of lfw", strangers(on, set(map(plain, names.values()))), crops=True)


def added_of_lfw(on: Measure, folder: Path, size: int) -> None:
    """People of lfw added from one to three pictures, the last one kept for the test."""
    gallery, people = Gallery(on, folder), on.lfw()
    order = np.random.default_rng(size).permutation(sorted(people))[:size]
    tests = {}
    for name in map(str, order):
        photos = people[name]
        gallery.add(name, photos[: max(1, len(photos) - 1)])
        if name in gallery.added and len(photos) > 1:
            tests[photos[-1]] = name
    print(f"and {len(gallery.added)} people of lfw, 1 to 3 photos each, {len(gallery.refused)} refused:")  # fmt: skip
    gallery.rates("a further photo", tests)
    gallery.rates("strangers of lfw", strangers(on, set(map(plain, order))), crops=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with celeb24, lfw, cfp and fairface")
    parser.add_argument("what", nargs="*", help="pairs, galleries; both when not given")
    parser.add_argument("--embedding", type=Path, default=prototypes.EMBEDDING)
    parser.add_argument("--model", type=Path, default=REPOSITORY / "models" / "celebrities.onnx")  # fmt: skip
    parser.add_argument("--work", type=Path, default=WORK, help="folder for crops")
    parser.add_argument("--celebcam", help="the celebcam binary")
    args = parser.parse_args()

    on = Measure(args.data, args.work, find_binary(args.celebcam), args.embedding, args.model)
    what = set(args.what or ("pairs", "galleries"))
    if not what <= {"pairs", "galleries"}:
        raise Failure(f"there is nothing called {' '.join(sorted(what))} to measure; give pairs or galleries")  # fmt: skip
    if "pairs" in what:
        for pairs in (lfw_pairs, cfp_pairs, group_pairs):
            pairs(on)
    if "galleries" in what:
        for gallery in (shipped, added_of_cfp, *(lambda on, f, s=s: added_of_lfw(on, f, s) for s in SIZES)):  # fmt: skip
            with tempfile.TemporaryDirectory() as folder:
                gallery(on, Path(folder))


if __name__ == "__main__":
    run(main)
