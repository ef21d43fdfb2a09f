"""What every index engine must do, whatever it is made of."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import types

import numpy as np
import pytest

from countenance.errors import UsageError
from countenance.index import ENGINES, create

NOW, LATER = 1_000, 2_000
D = 128


def unit(random, count, dimension=D):
    rows = random.standard_normal((count, dimension))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def near(random, template, cosine):
    noise = random.standard_normal(template.shape)
    noise -= (noise @ template) * template
    row = cosine * template + (1 - cosine**2) ** 0.5 * noise / np.linalg.norm(noise)
    return (row / np.linalg.norm(row)).astype(np.float32)


def brute(held, probe, threshold, limit=None):
    """Pairs (row, score) at or above the threshold among `held`, row -> template, as the definition has it."""
    rows = np.array(sorted(held), np.int64)
    templates = np.array([held[row] for row in rows.tolist()]).reshape(len(rows), -1).astype(np.float64)
    scores = (templates @ probe.astype(np.float64)).astype(np.float32) if len(rows) else np.empty(0, np.float32)
    keep = scores.astype(np.float64) >= threshold
    order = np.lexsort((rows[keep], -scores[keep]))[:limit]
    return list(zip(rows[keep][order].tolist(), scores[keep][order].tolist(), strict=True))


def pairs(found):
    return list(zip(found[0].tolist(), found[1].tolist(), strict=True))


def arrays(index):
    """Every numpy array that can be reached from the index."""
    seen, todo, found = set(), [index], []
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, (type, types.ModuleType, types.FunctionType)):
            continue
        seen.add(id(thing))
        if isinstance(thing, np.ndarray):
            found.append(thing)
        todo.extend(gc.get_referents(thing))
    return found


def traces(index, template):
    """Count the lines of any array, along any axis as long as the template, that run like it in any scale or offset."""
    shape = template.astype(np.float64) - template.mean()
    count = 0
    for array in arrays(index):
        for axis, length in enumerate(array.shape):
            if length != len(template) or array.ndim < 2:
                continue
            lines = np.moveaxis(array, axis, -1).reshape(-1, length)[:40_000].astype(np.float64)
            lines -= lines.mean(axis=1, keepdims=True)
            norms = np.linalg.norm(lines, axis=1) * np.linalg.norm(shape)
            count += int((lines @ shape > 0.99 * norms.clip(1e-12)).sum())
    return count


@pytest.fixture(params=sorted(ENGINES))
def index(request):
    made = create(D, engine=request.param)
    yield made
    made.close()


@pytest.fixture
def random():
    return np.random.default_rng(7)


def fill(index, templates, first=1):
    index.add(np.arange(first, first + len(templates)), templates, np.full(len(templates), LATER))
    return dict(enumerate(templates, first))


def test_an_unknown_engine_is_refused_with_the_names_of_those_there_are():
    with pytest.raises(UsageError, match="exact"):
        create(D, engine="guess")


def test_importing_the_index_does_not_load_onnxruntime():
    code = "import sys, countenance.index.exact; assert 'onnxruntime' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_empty_index_finds_nobody(index, random):
    assert [pairs(found) for found in index.search(unit(random, 2), threshold=-1, now=NOW)] == [[], []]
    assert len(index) == 0
    assert not index.contains(1)


def test_no_probes_give_no_answers(index, random):
    fill(index, unit(random, 5))
    assert index.search(np.empty((0, D), np.float32), threshold=0.4, now=NOW) == []


def test_adding_nothing_changes_nothing(index):
    index.add([], np.empty((0, D), np.float32), [])
    assert len(index) == 0


@pytest.mark.parametrize("faces", [1, 100, 3_000, 40_000])
@pytest.mark.parametrize("probes", [1, 3, 70])
@pytest.mark.parametrize("limit", [None, 2])
def test_the_answer_is_that_of_brute_force(index, random, faces, probes, limit):
    templates = unit(random, faces)
    asked = unit(random, probes)
    for number, cosine in enumerate((0.3, 0.45, 0.6, 0.95)):
        templates[number * 11 % faces] = near(random, asked[0], cosine)
    held = fill(index, templates)
    for threshold in (0.999, 0.4, 0.25):
        found = index.search(asked, threshold=threshold, now=NOW, limit=limit)
        assert len(found) == probes
        for number in range(0, probes, 23):
            assert pairs(found[number]) == brute(held, asked[number], threshold, limit)


def test_scores_are_float32_and_rows_int64_best_first(index, random):
    templates = unit(random, 2_000)
    fill(index, templates)
    ((rows, scores),) = index.search(templates[:1], threshold=-1, now=NOW)
    assert (rows.dtype, scores.dtype, len(rows)) == (np.int64, np.float32, 2_000)
    assert (np.diff(scores) <= 0).all()
    assert rows[0] == 1


def test_clustered_faces_are_answered_as_brute_force_does(index, random):
    centre = unit(random, 1)[0]
    held = fill(index, np.array([near(random, centre, 0.9) for _ in range(3_000)]))
    for threshold in (0.78, 0.81, 0.85):
        (found,) = index.search(held[5][None], threshold=threshold, now=NOW)
        assert pairs(found) == brute(held, held[5], threshold)


def test_templates_with_all_weight_in_one_number_are_answered_as_brute_force_does(index, random):
    spikes = np.concatenate([np.eye(D, dtype=np.float32), -np.eye(D, dtype=np.float32)])
    held = fill(index, np.concatenate([unit(random, 1_000), spikes, unit(random, 1_000)]))
    for probe in (spikes[3], spikes[200], held[1], (np.ones(D) / D**0.5).astype(np.float32)):
        (found,) = index.search(probe[None], threshold=0.3, now=NOW)
        assert pairs(found) == brute(held, probe, 0.3)


@pytest.mark.parametrize("faces", [10, 2_000])
def test_a_face_exactly_at_the_threshold_is_found_and_one_step_above_it_is_not(index, random, faces):
    held = fill(index, unit(random, faces))
    probe = unit(random, 1)
    score = brute(held, probe[0], -1)[3][1]
    above = float(np.nextafter(np.float32(score), np.float32(2)))
    assert len(index.search(probe, threshold=score, now=NOW)[0][0]) == 4
    assert len(index.search(probe, threshold=above, now=NOW)[0][0]) == 3


def test_each_probe_may_have_its_own_threshold(index, random):
    held = fill(index, unit(random, 2_000))
    asked = unit(random, 2)
    found = index.search(asked, threshold=[0.1, 0.3], now=NOW)
    assert [pairs(each) for each in found] == [brute(held, asked[0], 0.1), brute(held, asked[1], 0.3)]


@pytest.mark.parametrize("faces", [5, 1_000])
def test_equal_scores_come_by_row_number_and_a_limit_keeps_the_first(index, random, faces):
    template = unit(random, 1)
    rows = random.permutation(faces) + 10
    index.add(rows, np.repeat(template, faces, axis=0), np.full(faces, LATER))
    (found,) = index.search(template, threshold=0.9, now=NOW, limit=3)
    assert found[0].tolist() == [10, 11, 12]


def test_a_face_is_not_found_from_the_second_it_expires(index, random):
    template = unit(random, 1)
    index.add([7], template, [NOW])
    assert len(index.search(template, threshold=0.9, now=NOW - 1)[0][0]) == 1
    assert len(index.search(template, threshold=0.9, now=NOW)[0][0]) == 0
    assert index.contains(7)


def test_a_blocked_face_is_not_found_until_it_is_let_in_again(index, random):
    templates = unit(random, 3)
    fill(index, templates)
    assert index.mask([2, 99], blocked=True) == 1
    assert len(index.search(templates[1:2], threshold=0.9, now=NOW)[0][0]) == 0
    index.mask([2], blocked=False)
    assert index.search(templates[1:2], threshold=0.9, now=NOW)[0][0].tolist() == [2]


def test_a_blocked_face_does_not_take_the_place_of_another_within_the_limit(index, random):
    template = unit(random, 1)
    index.add([1, 2, 3], np.repeat(template, 3, axis=0), [LATER] * 3)
    index.mask([1], blocked=True)
    assert index.search(template, threshold=0.9, now=NOW, limit=1)[0][0].tolist() == [2]


@pytest.mark.parametrize("faces", [20, 3_000])
def test_a_removed_face_never_returns(index, random, faces):
    held = fill(index, unit(random, faces))
    gone = list(range(1, faces, 3))
    assert index.remove([*gone, 10**9]) == len(gone)
    assert index.remove(gone) == 0
    for row in gone[:5]:
        assert not index.contains(row)
        for threshold in (0.99, -1):
            (found,) = index.search(held[row][None], threshold=threshold, now=NOW)
            assert not np.isin(found[0], gone).any()
    assert len(index) == faces - len(gone)


def test_the_faces_that_stay_are_found_after_most_others_were_removed(index, random):
    held = fill(index, unit(random, 20_000))
    stay = [row for row in held if row % 9 == 0]
    index.mask(stay[:1], blocked=True)
    index.remove([row for row in held if row % 9])
    left = {row: held[row] for row in stay[1:]}
    for row in stay[1:20]:
        assert pairs(index.search(held[row][None], threshold=0.3, now=NOW)[0]) == brute(left, held[row], 0.3)
    assert index.contains(stay[0])
    assert len(index.search(held[stay[0]][None], threshold=0.9, now=NOW)[0][0]) == 0


@pytest.mark.parametrize("share", [1, 2_900])
def test_a_removed_template_is_in_none_of_the_arrays_in_any_form(index, random, share):
    templates = unit(random, 3_000)
    fill(index, templates)
    index.search(templates[:2], threshold=0.5, now=NOW)
    assert traces(index, templates[0]) >= 1
    assert any(templates[0].tobytes() in array.tobytes() for array in arrays(index))
    index.remove(np.arange(1, share + 1))
    assert traces(index, templates[0]) == 0
    assert traces(index, templates[-1]) >= 1
    assert not any(templates[0].tobytes() in array.tobytes() for array in arrays(index))


def test_a_row_number_can_be_used_again_after_it_was_removed(index, random):
    templates = unit(random, 2)
    index.add([1], templates[:1], [LATER])
    index.remove([1])
    index.add([1], templates[1:], [LATER])
    assert index.search(templates[:1], threshold=0.9, now=NOW)[0][0].tolist() == []
    assert index.search(templates[1:], threshold=0.9, now=NOW)[0][0].tolist() == [1]


@pytest.mark.parametrize(
    ("rows", "expires"), [([1, 1], [5, 5]), ([5, 6], [5, 5]), ([1], [5, 5]), ([1, 2], [5]), ([1, 2, 3], [5, 5, 5])]
)
def test_an_add_that_contradicts_itself_or_the_index_is_refused_and_adds_nothing(index, random, rows, expires):
    index.add([6], unit(random, 1), [LATER])
    templates = unit(random, 2)
    with pytest.raises(UsageError):
        index.add(rows, templates, expires)
    assert len(index) == 1
    assert traces(index, templates[0]) == 0


@pytest.mark.parametrize("spoil", [np.nan, np.inf, 0.0, 2.0])
def test_a_template_or_probe_that_is_not_normalised_is_refused(index, random, spoil):
    wrong = unit(random, 1)
    wrong[0] *= spoil
    with pytest.raises(UsageError, match="normalised"):
        index.add([1], wrong, [LATER])
    with pytest.raises(UsageError, match="normalised"):
        index.search(wrong, threshold=0.4, now=NOW)
    assert len(index) == 0


def test_a_threshold_that_is_no_number_is_refused_and_not_answered_with_nobody(index, random):
    with pytest.raises(UsageError):
        index.search(unit(random, 1), threshold=float("nan"), now=NOW)


def test_templates_and_probes_of_another_model_are_refused(index, random):
    with pytest.raises(UsageError):
        index.add([1], unit(random, 1, 64), [LATER])
    with pytest.raises(UsageError):
        index.search(unit(random, 1, 64), threshold=0.4, now=NOW)


def test_templates_written_into_reserved_memory_are_found_after_commit_and_not_before(index, random):
    templates = unit(random, 70_000)
    place = index.reserve(len(templates))
    place[:] = templates
    assert len(index) == 0
    assert len(index.search(templates[:1], threshold=0.9, now=NOW)[0][0]) == 0
    index.commit(np.arange(69_999), np.full(69_999, LATER))
    assert index.search(templates[69_998:], threshold=0.9, now=NOW)[0][0].tolist() == [69_998]
    assert index.search(templates[69_999:], threshold=0.9, now=NOW)[0][0].tolist() == []
    assert not place[69_999].any()


def test_a_reservation_that_is_given_up_is_zeroed(index, random):
    place = index.reserve(3)
    place[:] = unit(random, 3)
    index.reserve(2)
    assert not place.any()
    index.commit([], [])
    with pytest.raises(UsageError):
        index.commit([], [])


def test_a_reservation_of_nothing_does_not_disturb_another_threads(index, random):
    templates = unit(random, 1)
    index.reserve(0)

    def work():
        index.reserve(1)[:] = templates
        ready.set()
        done.wait(10)
        index.commit([1], [LATER])

    ready, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    ready.wait(10)
    index.commit([], [])
    done.set()
    thread.join()
    assert index.search(templates, threshold=0.9, now=NOW)[0][0].tolist() == [1]


def test_two_threads_may_reserve_at_once(index, random):
    templates = unit(random, 2)
    both = threading.Barrier(2)

    def work(number):
        place = index.reserve(1)
        both.wait(10)
        place[:] = templates[number]
        both.wait(10)
        index.commit([number], [LATER])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(2):
        assert index.search(templates[number : number + 1], threshold=0.9, now=NOW)[0][0].tolist() == [number]


def test_a_search_beside_adding_and_removing_sees_each_of_them_whole(index, random):
    template = unit(random, 1)
    batch, others = np.repeat(template, 2_000, axis=0), unit(random, 5_000)
    rows, other_rows = np.arange(2_000), np.arange(10_000, 15_000)
    fill(index, unit(random, 1_000), first=20_000)
    wrong = []

    def look():
        for _ in range(100):
            found = len(index.search(template, threshold=0.9, now=NOW)[0][0])
            if found not in (0, 2_000):
                wrong.append(found)

    thread = threading.Thread(target=look)
    thread.start()
    while thread.is_alive():
        index.add(other_rows, others, np.full(5_000, LATER))
        index.add(rows, batch, np.full(2_000, LATER))
        index.remove(other_rows)  # which moves the batch
        index.remove(rows)
    thread.join()
    assert wrong == []


def test_a_closed_index_is_zero_and_refuses_to_answer(index, random):
    templates = unit(random, 1_000)
    fill(index, templates)
    place = index.reserve(1)
    place[:] = templates[:1]
    kept = arrays(index)
    index.close()
    index.close()
    assert not any(np.isin(array, templates[0]).any() for array in kept if array.dtype == np.float32)
    assert not place.any()
    with pytest.raises(UsageError):
        index.search(templates[:1], threshold=0.9, now=NOW)
    with pytest.raises(UsageError):
        index.reserve(1)
