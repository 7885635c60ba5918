import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srkd.evaluation.arms import Arm, Run
from srkd.evaluation.compare import ALL, compare, uneven_warnings
from srkd.evaluation.protocols import Chosen, protocol_of
from srkd.evaluation.result import Result, Row
from srkd.evaluation.words import notes, power_sentence, seed_by_seed, sentence, table_of
from srkd.types import InputError


def arm(name, *runs, protocol=None, metric="psnr", width=1.0, lpips=None, warnings=(), origins=(), named=False):
    """An arm of runs, each {set: [value, …]} or {(set, image): value}; `origins`: what is recorded of each."""
    made = []
    for number, run in enumerate(runs):
        flat = {}
        for key, found in run.items():
            flat |= {key: found} if isinstance(key, tuple) else {(key, f"i{at}"): one for at, one in enumerate(found)}
        rows = {key: Row(*key, name, width, {metric: float(value), "ssim": 0.9}, None) for key, value in flat.items()}
        record = (protocol or protocol_of("y", 4)).record()
        model = f"{name}_seed{number}" if named else name
        models = [{"name": model, **(origins[number] if origins else {})}]
        path = Path(f"{name}{number}.json")
        file = Result(record, models, {}, list(rows.values()), lpips=lpips, warnings=list(warnings), path=path)
        made.append(Run(file, model, width, rows))
    return Arm(name, width, tuple(made))


def one(a, b, metric="psnr", **options):
    (found,) = compare([(a, b)], metric, **options)
    return found


def noisy(shift, *, n=100, noise=0.1, seed=0):
    """Values of two networks on the same images, `shift` dB apart on average; the differences are skewed."""
    rng = np.random.default_rng(seed)
    base = rng.normal(28, 3, n)
    return base, base + shift + noise * (rng.gamma(4, size=n) - 4) / 2


def test_a_small_example_by_hand():
    found = one(arm("a", {"Set5": [30, 31, 32]}), arm("b", {"Set5": [30.1, 31.2, 32.3]}))
    assert (found.n, found.set, found.baseline, found.arm) == (3, "Set5", "a", "b")
    assert found.means == pytest.approx((31, 31.2))
    assert (found.difference.mean, found.difference.low) == pytest.approx((0.2, -0.048414), abs=1e-5)
    assert (found.signs.better, found.signs.p) == (3, pytest.approx(0.25))
    assert found.verdict == "no difference shown" and found.p == pytest.approx(0.0741799, abs=1e-6)
    assert sentence(found) == (
        "Set5: no difference shown between b and a: +0.200 dB (95 % interval -0.048 … 0.448, 3 images); "
        "from one run of a and b; 3 images are few (below 20); yet better on all 3."
    )


def test_a_shift_of_a_twentieth_is_found_both_ways():
    a, b = noisy(0.05)
    low, high = arm("a", {"B100": a}), arm("b", {"B100": b})
    assert one(low, high).verdict == "better" and one(high, low).verdict == "worse"
    assert sentence(one(low, high)).startswith("B100: b is better than a by 0.0")
    assert "100 images); from one run of a and b." in sentence(one(low, high)) and "worse than b by 0.0" in sentence(
        one(high, low)
    )


def test_verdicts_are_right_as_often_as_they_say():
    verdicts = [
        [
            one(*(arm(x, {"S": v}) for x, v in zip("ab", noisy(shift, seed=seed), strict=True))).verdict
            for seed in range(50)
        ]
        for shift in (0.05, 0.0, -0.05)
    ]
    assert verdicts[0].count("better") >= 47 and "worse" not in verdicts[0]
    assert verdicts[1].count("no difference shown") >= 44
    assert verdicts[2].count("worse") >= 47 and "better" not in verdicts[2]


def test_equal_figures_are_said_to_be():
    found = one(arm("a", {"Set5": [30, 31, math.inf]}), arm("b", {"Set5": [30, 31, math.inf]}))
    assert found.verdict == "identical"
    assert sentence(found) == "Set5: b and a are identical in psnr on all 3 images."
    assert notes([found]) == []


def test_the_rounding_of_sums_is_no_difference():
    base = np.linspace(25, 35, 50)
    assert one(arm("a", {"S": base}), arm("b", {"S": base + 1e-12})).verdict == "identical"


images = st.dictionaries(
    st.tuples(st.sampled_from(["S", "T"]), st.sampled_from("abcdefg")),
    st.one_of(st.floats(20, 40), st.just(math.inf)),
    min_size=1,
)


@given(st.lists(images, min_size=1, max_size=3), st.lists(images, min_size=1, max_size=3), st.randoms())
def test_swapped_it_is_the_opposite_and_the_order_of_rows_is_nothing(first, second, random):
    def shuffled(run):
        items = list(run.items())
        random.shuffle(items)
        return dict(items)

    a, b = arm("a", *first), arm("b", *second)
    try:
        forth = compare([(a, b)], "psnr")
    except InputError:
        return  # no image in common
    back = {item.set: item for item in compare([(b, a)], "psnr")}
    again = {
        item.set: item
        for item in compare([(arm("a", *map(shuffled, first)), arm("b", *map(shuffled, second)))], "psnr")
    }
    opposite = {"better": "worse", "worse": "better"}
    for item in forth:
        same = again[item.set]
        assert (same.verdict, same.n, same.signs) == (item.verdict, item.n, item.signs)
        assert same.p == pytest.approx(item.p) and same.means == pytest.approx(item.means)
        other = back[item.set]
        assert other.verdict == opposite.get(item.verdict, item.verdict) and other.p == pytest.approx(item.p)
        assert (other.signs.better, other.signs.worse) == (item.signs.worse, item.signs.better)
        assert (item.difference is None) == (other.difference is None)
        if item.difference and item.difference.low is not None:
            assert math.isfinite(item.difference.mean) and math.isfinite(item.difference.low)
            mirrored = (-item.difference.mean, -item.difference.high, -item.difference.low)
            found = (other.difference.mean, other.difference.low, other.difference.high)
            assert found == pytest.approx(mirrored, abs=1e-9)
        assert sentence(item) and "nan" not in sentence(item) and " inf" not in sentence(item)


def test_images_of_one_side_are_left_out_and_named():
    a = arm("a", {("Set5", "x"): 30, ("Set5", "y"): 31, ("Set14", "q"): 20})
    b = arm("b", {("Set5", "y"): 31.5, ("Set5", "z"): 33})
    found = one(a, b)
    assert found.n == 1 and found.means == (31, 31.5) and found.difference.low is None
    assert found.left_out == ["Set5/x", "Set5/z", "Set14"]
    assert notes([found])[0] == "b and a: left out, as one side lacks it: Set5/x, Set5/z, Set14"
    assert sentence(found).endswith("(no interval, 1 image); from one run of a and b; one image is few (below 20).")


def test_an_image_that_one_run_lacks_is_left_out_of_all():
    found = one(arm("a", {"S": [1, 2, 3]}, {"S": [1.5, 2.5]}), arm("b", {"S": [1, 2, 3]}))
    assert found.n == 2 and found.seeds.baseline == [1.5, 2.0] and found.left_out == ["S/i2"]


def test_infinite_on_one_side_counts_in_the_sign_test_only():
    found = one(arm("a", {"S": [30, 31, 32, math.inf]}), arm("b", {"S": [30.1, 31.2, math.inf, math.inf]}))
    assert found.means == pytest.approx((30.5, 30.65)) and found.difference.mean == pytest.approx(0.15)
    assert (found.signs.better, found.signs.worse, found.signs.equal) == (3, 0, 1)
    assert found.infinite == ["S/i2", "S/i3"]
    assert "b and a: psnr is infinite for S/i2, S/i3: in the sign test, but in no mean" in notes([found])
    none = one(arm("a", {"S": [30]}), arm("b", {"S": [math.inf]}))
    assert none.verdict == "no difference shown" and none.difference is None and "no psnr is finite" in sentence(none)


def test_all_sets_together_weigh_every_image_alike():
    a, b = arm("a", {"S": [30, 30], "T": [20]}), arm("b", {"S": [31, 32], "T": [26]})
    found = compare([(a, b)], "psnr")
    assert [item.set for item in found] == ["S", "T", ALL] and found[2].difference.mean == pytest.approx(3)
    assert [item.looks for item in found] == [1, 1, 1]  # a set, and all sets that it is a part of: no two looks
    assert [item.set for item in compare([(a, b)], "psnr", sets=["T"])] == ["T"]


def test_many_comparisons_ask_for_more():
    rng = np.random.default_rng(3)
    base = rng.normal(28, 3, 30)
    noise = rng.normal(size=30)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    slight = base + 0.12 * (noise + 2.4 / 30**0.5)  # t = 2.4
    a, b = arm("a", {"S": base}), arm("b", {"S": slight})
    alone = one(a, b)
    assert alone.verdict == "better" and 0.02 < alone.p < 0.03
    others = [arm(name, {"S": base + 0.1 * rng.normal(size=30)}) for name in "cdefghijkl"]
    found = compare([(a, b), *((a, other) for other in others)], "psnr")
    assert found[0].verdict == "no difference shown" and found[0].p > 0.05
    assert "there would be one without the correction for 11 arms" in sentence(found[0])
    assert any(note.startswith("11 arms are compared on a set") for note in notes(found))
    copies = [arm(name, {"S": base}) for name in "mnopqrstu"]  # identical with the baseline: no looks
    assert compare([(a, b), *((a, copy) for copy in copies)], "psnr")[0].verdict == "better"


def runs(shifts, seed):
    rng = np.random.default_rng(seed)
    base = np.linspace(24, 34, 100)
    return [{"S": base + shift + 0.02 * rng.normal(size=100)} for shift in shifts]


ORIGINS = [{"seed": number, "start": f"w{number}", "data_order": f"d{number}"} for number in range(3)]


def test_paired_seeds_show_what_independent_ones_hide():
    # every seed gains about .05, and the seeds themselves are .1 apart
    a, b = runs([0, 0.1, -0.1], 1), runs([0.047, 0.149, -0.044], 2)
    hidden = one(arm("a", *a), arm("b", *b))
    assert hidden.verdict == "no difference shown" and hidden.seeds.pairing == "none" and hidden.seeds.differences == []
    assert "the runs count as independent (Welch): b and a" in "".join(notes([hidden]))
    for options, pairing in (({"named": True}, "by name"), ({"origins": ORIGINS}, "recorded")):
        found = one(arm("a", *a, **options), arm("b", *b, **options))
        assert found.verdict == "better" and found.seeds.pairing == pairing and found.seeds.numbers == [0, 1, 2]
        assert found.seeds.differences == pytest.approx([0.047, 0.049, 0.056], abs=0.01)
        assert found.difference.basis == "seeds" and found.difference.p < 0.05
        text = sentence(found)
        assert "100 images, 3 paired seeds" in text and "seed by seed +0.0" in text and "which decide" in text
        assert any(("by the names" if pairing == "by name" else "as recorded") in note for note in notes([found]))
        shuffled = one(arm("a", *a, **options), Arm("b", 1.0, arm("b", *b, **options).runs[::-1]))
        assert shuffled.seeds == found.seeds and shuffled.difference == found.difference


@pytest.mark.parametrize(
    ("change", "pairing"),
    [
        ({}, "recorded"),
        ({"start": "x"}, "recorded"),  # a slice of its teacher against scratch: the same patches
        ({"data_order": "x"}, "recorded"),
        ({"start": "x", "data_order": "x"}, "none"),
        ({"seed": 7}, "none"),
        ({"seed": 0}, "none"),  # one seed twice on one side
        ({"start": None, "data_order": None}, "recorded"),
        ({"seed": None}, "none"),
    ],
)
def test_seeds_are_paired_where_they_share_start_or_order(change, pairing):
    a, b = arm("a", *runs([0, 0, 0], 1), origins=ORIGINS), runs([0, 0, 0], 2)
    others = [*ORIGINS[:2], {key: value for key, value in {**ORIGINS[2], **change}.items() if value is not None}]
    assert one(a, arm("b", *b, origins=others)).seeds.pairing == pairing


def test_a_difference_within_the_spread_of_seeds_is_not_shown_however_sure_the_images_are():
    found = one(arm("a", *runs([0, 0.1, -0.1], 1)), arm("b", *runs([0.05, 0.15, -0.05], 2)))
    assert found.verdict == "no difference shown" and found.p > 0.05 and found.signs.better > 90
    assert "24." not in seed_by_seed(found) and "29.0" in seed_by_seed(found) and "against" in seed_by_seed(found)
    assert "3 and 3 runs" in sentence(found)


def test_two_seeds_have_no_interval():
    found = one(arm("a", *runs([0, 0.1], 1), named=True), arm("b", *runs([0.05, 0.15], 2), named=True))
    assert found.difference.low is None and "2 seeds are too few for an interval: take 3 or more" in sentence(found)


def test_one_run_is_said_to_be_one():
    a, b = arm("a", *runs([0], 1)), arm("b", *runs([0.2], 2))
    found = one(a, b)
    assert found.seeds.pairing == "one run" and found.verdict == "better" and found.spread is None
    assert "one run of a, b: this compares trained networks" in "".join(notes([found]))
    assert "NAME=FOLDER makes several results the runs of one arm" in "".join(notes([found]))
    assert "| better (one run) |" in table_of([found]).markdown() and "; from one run of a and b" in sentence(found)
    several = arm("b", *runs([0.2, 0.25, 0.3], 2))
    of_several = one(arm("bicubic", *runs([0], 1)), several)
    assert "one run" not in "".join(notes([of_several])) + table_of([of_several]).markdown() + sentence(of_several)
    same = one(a, a)
    assert "one run" not in table_of([same]).markdown() + sentence(same)
    assert one(a, several).difference.basis == "seeds" and one(a, several).seeds.differences == []


@pytest.mark.parametrize("first", [True, False])
def test_one_run_stays_one_whatever_it_is_compared_with(first):
    single, several = arm("a", *runs([0], 1)), arm("b", *runs([0.2, 0.25, 0.3], 2))
    found = one(single, several) if first else one(several, single)
    counts = len(found.seeds.baseline), len(found.seeds.arm)
    assert counts == ((1, 3) if first else (3, 1)) and found.verdict == ("better" if first else "worse")
    assert "one run of a: this compares" in "".join(notes([found])) and "± 0." in sentence(found)
    assert sentence(found).count("±") == 1


def test_power_is_told():
    a, b = arm("a", *runs([0, 0.1, -0.1], 1), named=True), arm("b", *runs([0.047, 0.149, -0.044], 2), named=True)
    text = power_sentence(one(a, b), 0.05)
    assert "a true difference of 0.05 dB would be shown in " in text and "3 seeds, 100 images" in text
    assert re.search(r"for 80 % [23] seeds do\.$", text)
    unsure = arm("c", *runs([0.3, 0, -0.3], 3), named=True)
    assert float(power_sentence(one(a, unsure), 0.05).partition(" shown in ")[2].partition("%")[0]) < 30
    assert "not known" in power_sentence(one(arm("a", *runs([0], 1)), arm("b", *runs([0.2], 2))), 0.05)


def test_the_table_of_a_comparison_has_what_the_sentences_say():
    found = compare(
        [(arm("a", *runs([0, 0.1, -0.1], 1), named=True), arm("b", *runs([0.05, 0.15, -0.04], 2), named=True))], "psnr"
    )
    lines = table_of(found).markdown().splitlines()
    assert len({line.count("|") for line in lines}) == 1 and "| S | b | a | +0.0" in lines[2] and "better" in lines[2]


def test_better_on_few_images_is_said():
    base = np.linspace(24, 34, 100)
    gain = np.where(np.arange(100) < 20, 1.0, -0.01)
    assert sentence(one(arm("a", {"S": base}), arm("b", {"S": base + gain}))).endswith(
        "; yet worse on 80 of 100: few images decide."
    )


def test_lpips_is_better_where_it_is_lower():
    values = np.linspace(0.1, 0.3, 40)
    a = arm("a", {"S": values}, metric="lpips")
    b = arm("b", {"S": values - 0.01 - 0.001 * np.sin(np.arange(40))}, metric="lpips")
    found = one(a, b, "lpips")
    assert found.verdict == "better" and found.signs.better == 40 and found.difference.mean < 0
    assert one(a, b, "lpips", better="higher").verdict == "worse"
    assert "is better than a by 0.0100 (95 % interval -0.0103 … -0.0098" in sentence(found)


def test_figures_of_two_protocols_are_refused_and_both_are_named():
    a = arm("a", {"S": [30]})
    for other, said in (("rgb", r"a0\.json has y: .*; b0\.json has rgb:"), ("paper-y", "paper-y")):
        with pytest.raises(InputError, match=said):
            one(a, arm("b", {"S": [30]}, protocol=protocol_of(other, 4)))
    with pytest.raises(InputError, match=r"×4.*×2"):
        one(a, arm("b", {"S": [30]}, protocol=protocol_of("y", 2)))
    with pytest.raises(InputError, match="different LPIPS"):
        one(arm("a", {"S": [1]}, metric="lpips", lpips={"net": "alex"}), arm("b", {"S": [1]}, metric="lpips"), "lpips")


def test_of_chosen_metrics_only_the_one_that_is_compared_must_agree():
    def chosen(**metrics):
        return Chosen(4, {name: ("psnr", {"crop_border": border}) for name, border in metrics.items()})

    a = arm("a", {"S": [30, 31]}, protocol=chosen(psnr=4, other=0))
    assert one(a, arm("b", {"S": [30, 31]}, protocol=chosen(psnr=4))).verdict == "identical"
    with pytest.raises(InputError, match="different protocols"):
        one(a, arm("b", {"S": [30, 31]}, protocol=chosen(psnr=0)))


def test_what_is_not_there_is_named():
    a, b = arm("a", {"Set5": [30]}), arm("b", {"Urban100": [30]})
    with pytest.raises(InputError, match="no image in common: one was measured on Set5, the other on Urban100"):
        one(a, b)
    with pytest.raises(InputError, match=r"no 'psrn' of a\. Did you mean 'psnr'"):
        one(a, a, "psrn")
    with pytest.raises(InputError, match=r"no set 'Set14' in the files\. Did you mean 'Set5'"):
        one(a, a, sets=["Set14"])


def test_warnings_of_some_files_only_are_told():
    a, b = arm("a", {"S": [1]}, warnings=["Other LR images.", "Both."]), arm("b", {"S": [1]}, warnings=["Both."])
    files = [run.file for side in (a, b) for run in side.runs]
    assert uneven_warnings(files) == ["a0.json warns, and not every file does: Other LR images"]
    low = [
        arm(name, {"S": [1]}, warnings=[f"{name} is below bicubic (S 1.00 < 2.00 dB): hardly trained?"])
        for name in "ab"
    ]
    assert uneven_warnings([run.file for side in low for run in side.runs]) == []  # every file warns of that


def test_paper_y_of_version_0_1_beside_todays_is_told():
    """Its record is the same, but grey files were taken as RGB."""
    today = arm("a", {"S": [1]}, protocol=protocol_of("paper-y", 4)).runs[0].file
    said = today.protocol["description"].replace(" (of grey files: their values)", "")
    old = replace(today, protocol={**today.protocol, "description": said}, path=Path("old.json"))
    assert uneven_warnings([today, old]) == [
        "old.json is of version 0.1, whose paper-y took grey files as RGB: they differ by up to 1.3 dB"
    ]
    assert uneven_warnings([today, today]) == uneven_warnings([old, old]) == []
