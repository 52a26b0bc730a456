"""endurance.py, shortened: handles, processes and threads stay; the slopes' own arithmetic."""

import numpy as np
import pytest
from endurance import broken_limits, slope, summarize, train


def test_slope_by_least_squares():
    x = np.arange(0, 5000, 25)
    y = 3.0 + 0.002 * x + np.random.default_rng(0).normal(0, 0.1, len(x))
    (expected, _), covariance = np.polyfit(x, y, 1, cov="unscaled")[0:2]
    found, error = slope(x, y)
    residual = np.sqrt(((y - np.polyval(np.polyfit(x, y, 1), x)) ** 2).sum() / (len(x) - 2))
    assert found == pytest.approx(1000 * expected) and error == pytest.approx(
        1000 * np.sqrt(covariance[0, 0]) * residual
    )


def test_growth_is_found():
    names = ("main_rss", "workers_rss", "workers_private", "main_handles", "workers_handles", "processes", "zombies",
             "threads", "log_history")  # fmt: skip
    flat = [{"iteration": i, **dict.fromkeys(names, 4), "zombies": 0} for i in range(25, 10001, 25)]
    assert not broken_limits(summarize(flat))
    for name, step in (("main_rss", 0.001), ("workers_private", 0.001), ("main_handles", 0.02), ("threads", 0.001)):
        grown = [{**one, name: one[name] + step * one["iteration"]} for one in flat]
        assert any(words.startswith(name) for words in broken_limits(summarize(grown)))
    for name in ("processes", "zombies"):
        assert broken_limits(summarize([*flat[:-1], {**flat[-1], name: 5}]))


def test_a_short_training_leaves_no_handles_and_no_processes(tmp_path):
    pytest.importorskip("mmaction")
    samples, _ = train(tmp_path, 300, workers=2, interval=10)
    result = summarize(samples)
    # Slopes of memory over so few iterations say little: torch and Python still fill their caches.
    assert not broken_limits(result, slopes=False)
    assert [sample["iteration"] for sample in samples] == list(range(10, 301, 10))
    assert result["numbers"]["processes"][2:4] == [4, 4], "two workers of the training, two of the validation"
    rise, _, low, high, _ = result["numbers"]["main_rss"]
    assert 50 < low <= high < low + 30
    (log,) = (tmp_path / "run").glob("2*_*/*.log")
    assert log.read_text().count("Epoch(val)") >= 6 and "Trained." in (tmp_path / "train.log").read_text()
