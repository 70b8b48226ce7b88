"""Properties that hold for any budget, seed, pool or state; the examples are hypothesis's."""

from __future__ import annotations

import json
import random
import string
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from srbench import PoolSettings
from srbench.errors import CorruptFile, ParameterError, UsageError
from srbench.training import Budget, mix, seed_everything
from srbench.training.checkpoint import (
    KEPT,
    MANIFEST,
    STATE,
    TENSORS,
    CheckpointStore,
    read_checkpoint,
)
from srbench.training.codec import decode, encode
from srbench.training.precision import Precision, channels_last, place
from srbench.training.sampling import Pool, Sampler, stratified
from srbench.training.seeding import restore_rng_state, rng_state
from tests.methods.toy import GaussianPair, Noise

CPU = torch.device("cpu")
UNITS = {"s": 1, "m": 60, "h": 3600}


class TestBudgetStrings:
    @given(st.integers(1, 10**12), st.sampled_from(["", "it"]))
    def test_whole_numbers_are_steps(self, steps, unit):
        budget = Budget.parse(f"{steps}{unit}")
        assert budget == Budget(steps=steps)
        assert Budget.parse(str(budget)) == budget

    @given(st.decimals("0.001", 10**7, places=3), st.sampled_from("smh"),
           st.sampled_from(["", " ", "  "]), st.booleans())
    def test_units_are_time(self, number, unit, gap, upper):
        text = f" {number}{gap}{unit} "
        budget = Budget.parse(text.upper() if upper else text)
        assert budget.steps is None
        assert budget.seconds == pytest.approx(float(number) * UNITS[unit])

    @given(st.one_of(st.integers(1, 10**9).map(float), st.decimals(1, 10**7, places=2).map(float)))
    def test_a_budget_of_time_is_written_as_it_is_read(self, seconds):
        budget = Budget(seconds=seconds)
        assert Budget.parse(str(budget)) == budget

    @given(st.text(alphabet=string.digits + "smhit.-+e ,", max_size=8))
    def test_any_text_is_read_as_a_positive_limit_or_refused(self, text):
        try:
            budget = Budget.parse(text)
        except UsageError as error:
            refused = error
        else:
            refused = None
        if refused is not None:
            assert repr(text) in refused.message
            assert refused.hint
            return
        assert (budget.steps is None) != (budget.seconds is None)
        assert budget.allows(0, 0.0)

    @given(st.integers(1, 1000), st.integers(0, 2000))
    def test_a_limit_of_steps_lets_exactly_that_many_start(self, limit, done):
        assert Budget(steps=limit).allows(done, 1e9) == (done < limit)
        assert (Budget(steps=limit).fraction(done, 0.0) < 1) == (done < limit)


OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, 0.1, betas=(0.0, 0.9)),
    "amsgrad": lambda p: torch.optim.Adam(p, 0.1, amsgrad=True),
    "fused": lambda p: torch.optim.Adam(p, 0.1, fused=True),
    "adamw": lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.2),
    "momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.1, centered=True, momentum=0.5),
    "adagrad": lambda p: torch.optim.Adagrad(p, 0.1),
    "adadelta": lambda p: torch.optim.Adadelta(p, 0.1),
}


def through(value):
    """Bring a state to JSON and tensors and back, as a checkpoint does."""
    tensors = {}
    return decode(json.loads(json.dumps(encode(value, "state", tensors))), tensors)


def descend(network, optimizer, steps):
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        network(torch.randn(8, 3, generator=generator)).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_every_optimizer_goes_on_from_a_state_that_was_written(kind):
    def fresh():
        torch.manual_seed(0)
        network = torch.nn.Linear(3, 2)
        return network, OPTIMIZERS[kind](network.parameters())

    network, optimizer = fresh()
    descend(network, optimizer, 3)
    other, restored = fresh()
    other.load_state_dict(through(network.state_dict()))
    restored.load_state_dict(through(optimizer.state_dict()))
    descend(network, optimizer, 3)
    descend(other, restored, 3)
    assert torch.equal(network.weight, other.weight)
    assert torch.equal(network.bias, other.bias)


@pytest.mark.parametrize("value", [
    torch.tensor([]), torch.zeros(0, 3), torch.tensor(float("nan")), torch.ones(2, 3).T,
    torch.arange(10)[::3], torch.ones(1).expand(5), torch.ones(2, 1, 1, 1),
    torch.tensor([1 + 2j]), torch.nn.Parameter(torch.ones(2)), torch.ones(2, dtype=torch.float16)])
def test_tensors_of_any_make_come_back(value):
    back = through({"t": value})["t"]
    assert back.dtype == value.dtype
    assert back.shape == value.shape
    assert torch.equal(back.nan_to_num(7), value.detach().nan_to_num(7))
    assert not back.requires_grad


class TestSeeds:
    @given(st.integers(-2**80, 2**80), st.lists(st.one_of(st.text(max_size=5), st.integers()),
                                                max_size=3))
    def test_are_63_bits_and_depend_on_every_word(self, seed, words):
        value = mix(seed, *words)
        assert 0 <= value < 2**63
        assert value == mix(seed, *words)
        others = mix(seed + 1, *words), mix(seed, *words, 0), mix(seed, *words, "0")
        assert len({value, *others}) == 4

    def test_words_do_not_run_into_each_other(self):
        assert len({mix(1, "ab", "c"), mix(1, "a", "bc"), mix(1, "abc"), mix(1, "a", "b", "c"),
                    mix(1, 2, "3"), mix(1, "2", 3), mix(12, "3")}) == 7

    def test_bits_are_even(self):
        values = np.array([mix(0, "lr", k) for k in range(4000)], dtype=np.uint64)
        for bit in (0, 7, 31, 62):
            ones = int(((values >> np.uint64(bit)) & np.uint64(1)).sum())
            assert abs(ones - 2000) < 160, bit  # five standard deviations

    def test_a_state_survives_checkpoint_text(self):
        seed_everything(3)
        random.gauss(0, 1)
        np.random.normal()  # both keep the second half of a pair
        state = through(rng_state(CPU))
        expected = random.gauss(0, 1), float(np.random.normal()), float(torch.rand(()))
        seed_everything(4)
        restore_rng_state(state, CPU)
        assert (random.gauss(0, 1), float(np.random.normal()), float(torch.rand(()))) == expected


class TestPools:
    @given(st.integers(1, 60), st.integers(0, 200), st.integers(0, 2**31), st.data())
    def test_a_batch_has_no_repeats(self, size, shift, seed, data):
        n = data.draw(st.integers(1, size))
        picked = stratified(n, size, shift % size, torch.Generator().manual_seed(seed))
        assert len(set(picked.tolist())) == n
        assert 0 <= int(picked.min()) <= int(picked.max()) < size

    @pytest.mark.parametrize(("n", "size"), [(3, 32), (5, 32), (1, 16), (31, 32)])
    def test_each_index_is_drawn_equally_often(self, n, size):
        """Through the real draw: the shift comes from the seed of the draw's number."""
        counts = torch.zeros(size, dtype=torch.int64)
        pool = self.pool(size=size, block=size, refresh_every=0)
        generator = torch.Generator()
        draws = 3000
        for number in range(draws):
            generator.manual_seed(mix(0, "lr", number))
            counts[pool.batch(n, number, generator)[:, 0].long() % size] += 1
        assert int(counts.sum()) == draws * n
        assert chisquare(counts.numpy()).pvalue > 1e-5

    @staticmethod
    def pool(**given):
        made = []

        def draw(n, generator):
            start = len(made) * n
            made.append(generator.initial_seed())
            return torch.arange(start, start + n, dtype=torch.float32)[:, None].repeat(1, 2)

        pool = Pool(draw, PoolSettings(**given), "lr", 0, nullcontext)
        pool.made = made
        return pool

    def test_blocks_are_made_in_order_and_only_when_they_are_due(self):
        pool, generator = self.pool(size=12, block=4, refresh_every=5), torch.Generator()
        counts = []
        for number in range(16):
            generator.manual_seed(number)
            pool.batch(2, number, generator)
            counts.append(len(pool.made))
            assert generator.initial_seed() == number  # the draw's generator is given back
        assert counts == [3] * 5 + [4] * 5 + [5] * 5 + [6]
        assert pool.made == [mix(0, "lr", "block", block) for block in range(6)]

    def test_a_pool_that_begins_late_makes_no_block_it_does_not_hold(self):
        pool = self.pool(size=12, block=4, refresh_every=5)
        pool.batch(2, 99, torch.Generator())
        assert pool.made == [mix(0, "lr", "block", block) for block in range(19, 22)]

    def test_a_pool_that_begins_late_holds_what_it_would_have_held(self):
        settings_ = PoolSettings(size=12, block=4, refresh_every=2)
        batches = []
        for start in (0, 17):
            sampler = Sampler(pooled(settings_), 5, CPU, plain)
            sampler.enter()
            sampler.counters["lr"] = start
            batches.append([sampler.draw("lr", 3) for _ in range(start, 20)])
        assert all(map(torch.equal, batches[0][17:], batches[1]))

    def test_a_step_back_is_made_anew(self):
        sampler = Sampler(pooled(PoolSettings(size=8, block=4, refresh_every=1)), 5, CPU, plain)
        sampler.enter()
        first = [sampler.draw("hr", 2) for _ in range(6)]
        sampler.counters["hr"] = 1
        assert all(map(torch.equal, first[1:], [sampler.draw("hr", 2) for _ in range(5)]))

    @pytest.mark.parametrize("given", [
        {"size": 0, "block": 1, "refresh_every": 0}, {"size": 10, "block": 4, "refresh_every": 0},
        {"size": 4, "block": 0, "refresh_every": 0}, {"size": 4, "block": 4, "refresh_every": -1}])
    def test_settings_that_make_no_pool(self, given):
        with pytest.raises(ValueError, match=r"pool size|refresh_every"):
            PoolSettings(**given)

    def test_no_samples_are_no_draw(self):
        with pytest.raises(ValueError, match="0 samples of lr"):
            Sampler(GaussianPair(), 0, CPU, plain).draw("lr", 0)


def plain():
    return nullcontext()


def pooled(settings_):
    class Pooled(GaussianPair):
        pool = settings_

    return Pooled()


class TestDraws:
    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from(["lr", "hr"]), st.integers(1, 5)), max_size=12),
           st.integers(0, 2**40))
    def test_draw_k_of_a_stream_is_a_function_of_seed_and_k(self, order, seed):
        dataset = GaussianPair()
        sampler = Sampler(dataset, seed, CPU, plain)
        sampler.enter()
        counters = {"lr": 0, "hr": 0}
        for stream, n in order:
            generator = torch.Generator().manual_seed(mix(seed, stream, counters[stream]))
            expected = getattr(dataset, f"sample_{stream}")(n, generator)
            assert torch.equal(sampler.draw(stream, n), expected)
            counters[stream] += 1
        assert sampler.counters == counters

    def test_streams_are_uncorrelated(self):
        sampler = Sampler(GaussianPair(), 0, CPU, plain)
        sampler.enter()
        lr = torch.cat([sampler.draw("lr", 500) for _ in range(20)])
        hr = torch.cat([sampler.draw("hr", 500) for _ in range(20)])
        both = torch.corrcoef(torch.cat([lr, hr], 1).T)
        assert both[:2, 2:].abs().max() < 0.05  # five standard deviations of 10^4 pairs

    def test_images_come_in_nhwc_also_where_the_dataset_gives_float64(self):
        class Double(Noise):
            def sample_lr(self, n, generator):
                return super().sample_lr(n, generator).double().requires_grad_()

        batch = Sampler(Double(8), 0, CPU, plain).draw("lr", 3)
        assert batch.dtype == torch.float32
        assert not batch.requires_grad
        assert batch.is_contiguous(memory_format=torch.channels_last)


class TestPrecision:
    def test_bf16_is_on_in_the_body_and_off_outside_and_in_validations(self):
        precision = Precision("bf16", CPU)
        x = torch.ones(2, 2)
        with precision.body():
            assert (x @ x).dtype == torch.bfloat16
            with precision.outside():
                assert (x @ x).dtype == torch.float32
            with precision.plain():
                assert (x @ x).dtype == torch.float32
            assert (x @ x).dtype == torch.bfloat16
        assert (x @ x).dtype == torch.float32

    def test_fp32_changes_nothing(self):
        precision, x = Precision("fp32", CPU), torch.ones(2, 2)
        with precision.body(), precision.tf32():
            assert (x @ x).dtype == torch.float32

    @pytest.mark.parametrize("before", ["ieee", "tf32"])
    def test_flags_the_user_set_come_back_after_an_error(self, before):
        owner = torch.backends.cuda.matmul
        kept = owner.fp32_precision
        try:
            owner.fp32_precision = before
            precision = Precision("fp32", torch.device("cuda"))

            def fail():
                with precision.plain():
                    assert owner.fp32_precision == before
                    raise ZeroDivisionError

            with precision.tf32():
                assert owner.fp32_precision == "tf32"
                with pytest.raises(ZeroDivisionError):
                    fail()
                assert owner.fp32_precision == "tf32"
            with pytest.raises(ZeroDivisionError), precision.tf32():
                raise ZeroDivisionError
            assert owner.fp32_precision == before
        finally:
            owner.fp32_precision = kept

    @pytest.mark.parametrize("name", ["fp16", "BF16", "", "float32"])
    def test_other_names_are_refused(self, name):
        with pytest.raises(ParameterError, match=f"no precision named {name!r}"):
            Precision(name, CPU)

    def test_modules_are_laid_out_in_place(self):
        network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 2))
        network.register_buffer("image", torch.rand(1, 3, 4, 4))
        before = {name: (id(p), p.detach().clone()) for name, p in network.named_parameters()}
        place(network, CPU)
        for name, parameter in network.named_parameters():
            assert (id(parameter), True) == (before[name][0],
                                             torch.equal(parameter, before[name][1]))
        for tensor in (network[0].weight, network.image):
            assert tensor.is_contiguous(memory_format=torch.channels_last)
        flat = torch.rand(3, 4, 5)
        assert channels_last(flat) is flat


class TestCheckpoints:
    def test_the_last_two_are_kept_and_numbers_go_on(self, tmp_path):
        store = CheckpointStore(tmp_path / "checkpoint")
        assert (store.newest_first(), store.read()) == ([], None)
        for number in range(1, 5):
            assert store.write({"number": number}).name == f"{number:08d}"
            assert len(store.newest_first()) == min(number, KEPT)
        assert [path.name for path in store.newest_first()] == ["00000004", "00000003"]
        assert store.read() == {"number": 4}

    @settings(max_examples=40, deadline=None)
    @given(st.sampled_from([STATE, TENSORS, MANIFEST]), st.integers(0, 10**6), st.integers(1, 255))
    def test_no_flipped_byte_is_read_as_another_state(self, tmp_path_factory, name, place_, flip):
        store = CheckpointStore(tmp_path_factory.mktemp("store"))
        state = {"weights": torch.arange(6.0), "steps": 12, "names": ("a", "b")}
        path = store.write(state) / name
        content = bytearray(path.read_bytes())
        content[place_ % len(content)] ^= flip
        path.write_bytes(bytes(content))
        try:
            found = read_checkpoint(path.parent)
        except CorruptFile:
            return
        assert torch.equal(found["weights"], state["weights"])
        assert (found["steps"], found["names"]) == (12, ("a", "b"))

    @pytest.mark.parametrize("content", [b"[]", b"3", b'{"format": 1}', b'{"format": 2}',
                                         b'{"format": 1, "sha256": {}}', b"\xff\xfe"])
    def test_a_manifest_of_another_shape_is_refused(self, tmp_path, content):
        folder = CheckpointStore(tmp_path).write({"steps": 1})
        (folder / MANIFEST).write_bytes(content)
        with pytest.raises(CorruptFile):
            read_checkpoint(folder)
