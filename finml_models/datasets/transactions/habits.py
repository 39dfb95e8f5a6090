"""Who pays where, how much and when: the laws that the simulator draws from, and their densities, which its truth is computed by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .vocabulary import CATEGORIES

Float = NDArray[np.float64]
Int = NDArray[np.int64]

STATES = ("at_home", "travelling", "burst", "takeover", "testing")
FRAUDS = [2, 3, 4]
SHARE = np.array([1.0, 1.0, 0.95, 0.7, 0.5])
"""Of the transactions in each state, those that are made in its manner; the others are the owner's at home."""
_BEGINS, _ENDS = np.array([4e-3, 7e-4, 7e-4, 9e-4]), np.array([0.1, 0.28, 0.2, 0.15])
TRANSITIONS = np.diag([1 - _BEGINS.sum(), *(1 - _ENDS)])
TRANSITIONS[0, 1:], TRANSITIONS[1:, 0] = _BEGINS, _ENDS
RATE_AT_COMPROMISED = 0.35
"""Share of the payments at a compromised terminal that are fraud."""

FAVOURITE = 0.85
"""Share of the owner's payments at home that go to a favourite terminal."""
WEIGHTS = np.array([0.26, 0.18, 0.13, 0.1, 0.08, 0.05, 0.12, 0.08])
"""Of the favourites: six places near home, two online merchants."""
NEAR = 6
ONLINE = np.array([0.0, 0.0, 0.0, 0.8, 0.9])
"""Share of each manner's payments online; the owner's at home follow from the favourites."""
SPEED = np.array([1.0, 2.0])
"""Of the owner at home and travelling, as a multiple of the account's rate in the rhythm of the day."""
PACE = np.array([0.0, 0.0, 36.0, 1.5, 0.5])
"""Transactions a day of the others, day and night."""
LIFT, SPREAD = np.array([0.0, 0.4, 0.0, 1.2, 0.0]), np.array([0.6, 0.7, 0.9, 0.6, 0.5])
FIXED = {2: np.log(95.0), 4: np.log(2.0)}
"""Mean log amounts that do not depend on the account; of the rest, its own level plus `LIFT`. `SPREAD` is their deviation."""
OF_CATEGORY = np.array([0.0, 0.0, 0.3, -0.1, 0.2, 1.0, 0.7, -0.4, 0.8])
"""What a category adds to the owner's mean log amount; the first is none."""

_BY_HOUR = np.array([2, 1, 1, 1, 1, 2, 5, 9, 12, 13, 14, 16, 18, 16, 14, 14, 16, 18, 18, 16, 13, 10, 7, 4], np.float64)
_BY_HOUR /= _BY_HOUR.mean()
_GRID, _PASSED = np.linspace(0, 1, 25), np.concatenate([[0.0], np.cumsum(_BY_HOUR) / 24])


@dataclass(frozen=True)
class Places:
    """Terminals and online merchants. Shapes: online and category (m,), where (m, 2) in km, compromised (m, 2): first and last day."""

    online: NDArray[np.bool_]
    category: Int
    where: Float
    compromised: Float

    @classmethod
    def draw(cls, rng: np.random.Generator, accounts: int, days: int) -> Places:
        """A terminal for three accounts and a merchant for twenty; a fifth of the terminals is compromised once."""
        near, far = max(20, accounts // 3), max(6, accounts // 20)
        online = np.arange(near + far) >= near
        known = CATEGORIES["category"]
        here, there = ([known.index(name) + 1 for name in known if name not in out] for out in (("digital",), ("groceries", "fuel", "restaurants", "cash")))
        category = np.where(online, rng.choice(there, len(online)), rng.choice(here, len(online)))
        begins = rng.random(len(online)) * days
        hit = ~online & (rng.random(len(online)) < 0.2)
        spell = np.stack([begins, begins + 5 + 15 * rng.random(len(online))], axis=1)
        return cls(online, category, rng.random((len(online), 2)) * 100, np.where(hit[:, None], spell, np.inf))

    def is_compromised(self, terminal: Int, at: Float) -> NDArray[np.bool_]:
        """(n,) whether a terminal is compromised at a moment."""
        spell = self.compromised[terminal]
        return np.asarray((spell[:, 0] <= at) & (at < spell[:, 1]))


@dataclass(frozen=True)
class Accounts:
    """Habits. Shapes: rate (n,) payments a day, level (n,) mean log amount, home (n, 2) in km, favourites (n, 8) terminals, each once."""

    rate: Float
    level: Float
    home: Float
    favourites: Int

    @classmethod
    def draw(cls, rng: np.random.Generator, n: int, places: Places) -> Accounts:
        """Rates differ by a factor of ten and more; favourites are the nearest of some terminals, and two merchants."""
        home = rng.random((n, 2)) * 100
        physical, online = np.flatnonzero(~places.online), np.flatnonzero(places.online)
        some = np.argsort(rng.random((n, len(physical))), axis=1)[:, : max(NEAR, len(physical) // 10)]
        distance = np.hypot(*np.moveaxis(home[:, None] - places.where[physical[some]], 2, 0))
        near = physical[np.take_along_axis(some, np.argsort(distance, axis=1)[:, :NEAR], axis=1)]
        merchants = online[np.argsort(rng.random((n, len(online))), axis=1)[:, : len(WEIGHTS) - NEAR]]
        return cls(np.clip(np.exp(rng.normal(-1.25, 0.6, n)), 0.05, 1.5), rng.normal(3.1, 0.5, n), home, np.concatenate([near, merchants], axis=1))


def draw_time(rng: np.random.Generator, before: Float, kind: Int, rate: Float) -> Float:
    """(n,) days: the owner's rhythm follows the hours of the day, the others know no night."""
    wait = rng.exponential(size=len(kind))
    own = _clock(_activity(before) + wait / (rate * SPEED[np.minimum(kind, 1)]))
    return np.where(kind < 2, own, before + wait / np.where(kind < 2, 1.0, PACE[kind]))


def draw_terminal(rng: np.random.Generator, kind: Int, favourites: Int, places: Places) -> Int:
    """(n,) terminals."""
    n, physical, online = len(kind), np.flatnonzero(~places.online), np.flatnonzero(places.online)
    place = np.minimum(np.searchsorted(np.cumsum(WEIGHTS), rng.random(n)), len(WEIGHTS) - 1)
    anywhere = rng.integers(0, len(places.online), n)
    home = np.where(rng.random(n) < FAVOURITE, favourites[np.arange(n), place], anywhere)
    away = np.where(rng.random(n) < ONLINE[kind], rng.choice(online, n), rng.choice(physical, n))
    return np.where(kind == 0, home, away)


def draw_amount(rng: np.random.Generator, kind: Int, level: Float, category: Int) -> Float:
    """(n,) amounts in whole cents, at least one."""
    mean = _mean_amount(level, category)[np.arange(len(kind)), kind]
    return np.maximum(np.round(np.exp(mean + SPREAD[kind] * rng.standard_normal(len(kind))), 2), 0.01)


def densities(before: Float | None, now: Float, terminal: Int, amount: Float, people: Accounts, who: Int, places: Places) -> Float:
    """(n, kinds) density of a transaction in the manner of each state, given the account's habits; the first of an account has no wait."""
    z = (np.log(amount)[:, None] - _mean_amount(people.level[who], places.category[terminal])) / SPREAD
    found = np.exp(-0.5 * z**2) / SPREAD
    m, online = len(places.online), places.online[terminal]
    at_favourite = ((people.favourites[who] == terminal[:, None]) * WEIGHTS).sum(axis=1)
    away = np.where(online[:, None], ONLINE / places.online.sum(), (1 - ONLINE) / (m - places.online.sum()))
    found *= np.concatenate([(FAVOURITE * at_favourite + (1 - FAVOURITE) / m)[:, None], away[:, 1:]], axis=1)
    if before is not None:
        own = people.rate[who][:, None] * SPEED
        waited = _BY_HOUR[(now % 1 * 24).astype(np.int64)][:, None] * own * np.exp(-own * (_activity(now) - _activity(before))[:, None])
        found *= np.concatenate([waited, PACE[2:] * np.exp(-PACE[2:] * (now - before)[:, None])], axis=1)
    return found


def _mean_amount(level: Float, category: Int) -> Float:
    """(n, kinds) mean log amount."""
    mean = level[:, None] + LIFT
    mean[:, :2] += OF_CATEGORY[category][:, None]
    for kind, fixed in FIXED.items():
        mean[:, kind] = fixed
    return mean


def _activity(at: Float) -> Float:
    """Days to days of mean activity: a time in which the owner's payments are a Poisson process."""
    return np.floor(at) + np.interp(at % 1, _GRID, _PASSED)


def _clock(activity: Float) -> Float:
    return np.floor(activity) + np.interp(activity % 1, _PASSED, _GRID)
