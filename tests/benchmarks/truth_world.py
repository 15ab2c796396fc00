"""A made-up world of training runs in which the truth is known: true accuracies, the luck of seeds, learning curves.

All accuracies are in points (1 point is 1 % of the images). A study draws one `Landscape`: how good each arm truly
is at each setting, a bowl over the space of nuisance settings. A run shows that accuracy plus luck; `Trials.curves`
holds validation accuracy epoch by epoch. What is assumed, and on what grounds:

- A regularised method trails: -8.7 points at epoch 1, -2.6 at 10, -2.1 at 30, -0.9 at 50 of 200, and comes level
  with the baseline between epochs 91 and 196 (`TRAIL`, `LEVEL`): measured on CIFAR-10 curves of ten networks with
  and without mixup. A strong setting of the method trails more than a weak one.
- Within an arm some settings lead early and not at the end, above all small learning rates (`World.haste`).
- Validation accuracy jumps from epoch to epoch, by points while the learning rate is high and by tenths once it has
  fallen (`JITTER`); with the fall, most of an early lead goes too (`CALM`).
- The rest is set so that the ways to stop early choose the better method about as often as they did on those real
  curves; `truth_stopping` shows both figures side by side.
- What all curves of a study share is left out: it cancels in every comparison.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spaces.design import sobol_points, to_unit
from spaces.distributions import AUTO, Space, method_space, nuisance_space

EPOCHS = 200
MILESTONES = [0.5, 0.75]
NUISANCE: Space = nuisance_space({"learning_rate": AUTO, "weight_decay": AUTO}, ["sgd"])
OWN: Space = method_space("mixup", {})

TRAIL = {1: -8.7, 10: -2.6, 30: -2.1, 50: -0.9}
"""Points by which a method of mean strength trails after so many epochs."""
LEVEL = (91, 196)
"""Between these epochs it comes level."""
JITTER = 1.5
"""Standard deviation of single epochs while the learning rate is high, in points; three times that in epoch 1."""
CALM = (1.0, 0.2, 0.1)
"""What is left of jitter and early lead before the first fall of the rate, before the second, and after it."""


@dataclass(frozen=True)
class World:
    """What a kind of study is like.

    Args:
        methods: arms beside the reference.
        effect: true effect of each method, both arms at their own best setting.
        effect_sd: spread of that effect from study to study.
        spread: standard deviation of true accuracy over the nuisance space.
        shift: how far a method's best nuisance setting lies from the reference's, in units of the space.
        own: standard deviation of true accuracy over a method's own hyperparameter.
        trailing: whether methods trail as mixup does.
        seed_sd: standard deviation of a run's test accuracy over seeds.
        pairing: part of the variance over seeds that is shared by all runs with the same seed.
        suiting: part of it that is shared by all runs of an arm with the same seed.
        agreement: correlation of a run's luck on validation and on test images.
        haste: standard deviation of the early lead of one setting over another.
    """

    methods: int = 3
    effect: float = 0.0
    effect_sd: float = 0.0
    spread: float = 0.5
    shift: float = 0.0
    own: float = 0.0
    trailing: bool = True
    seed_sd: float = 0.3
    pairing: float = 0.3
    suiting: float = 0.1
    agreement: float = 0.5
    haste: float = 1.0


@dataclass(frozen=True)
class Landscape:
    """How good the arms of one study truly are. Arm 0 is the reference.

    Args:
        world: the kind of study.
        best: float (A, D), each arm's best nuisance setting, in the unit cube.
        own_best: float (A,), the best value of each method's own hyperparameter.
        tops: float (A,), true accuracy there.
        level: float (A,), the epoch from which a method no longer trails.
    """

    world: World
    best: np.ndarray
    own_best: np.ndarray
    tops: np.ndarray
    level: np.ndarray

    def quality(self, arm: int, settings: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Return true accuracies of one arm, (n,).

        Args:
            arm: number of the arm.
            settings: float (n, D) in the unit cube.
            own: float (n,) in [0, 1], the method's own hyperparameter; without meaning for the reference.
        """
        lost = _depth(self.best[0], self.world.spread) * ((settings - self.best[arm]) ** 2).sum(axis=1)
        if arm:
            lost = lost + _depth(self.own_best[arm : arm + 1], self.world.own) * (own - self.own_best[arm]) ** 2
        return self.tops[arm] - lost


def _depth(best: np.ndarray, spread: float) -> float:
    """Return how deep a bowl is whose standard deviation over the unit cube is `spread`."""
    return spread / float(np.sqrt((1 / 180 + (best - 0.5) ** 2 / 3).sum()))


def draw_landscape(world: World, rng: np.random.Generator) -> Landscape:
    """Draw the truth of one study."""
    arms, dimensions = world.methods + 1, len(NUISANCE)
    best = np.repeat(rng.uniform(0.25, 0.75, (1, dimensions)), arms, axis=0)
    directions = rng.normal(size=(arms, dimensions))
    directions[0] = 0.0
    lengths = np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
    tops = np.append(0.0, world.effect + world.effect_sd * rng.normal(size=world.methods))
    level = rng.uniform(*LEVEL, arms)
    return Landscape(world, best + world.shift * directions / lengths, rng.uniform(0.25, 0.75, arms), tops, level)


@dataclass(frozen=True)
class Trials:
    """The search trials of one study.

    Args:
        values: for each trial number its nuisance values, as the product's design gives them: the same in all arms.
        settings: float (n, D), the same in the unit cube.
        own: float (A, n), each arm's own hyperparameter in [0, 1].
        quality: float (A, n), true accuracy.
        curves: float (A, n, EPOCHS), validation accuracy after each epoch.
    """

    values: list[dict[str, float]]
    settings: np.ndarray
    own: np.ndarray
    quality: np.ndarray
    curves: np.ndarray


def draw_trials(land: Landscape, count: int, rng: np.random.Generator) -> Trials:
    """Draw the trials of a search, all trained to the end; arms share points and seeds as the protocol says."""
    arms = len(land.tops)
    values = sobol_points(NUISANCE, count, int(rng.integers(2**31)))
    settings = unit(NUISANCE, values)
    own = np.stack([unit(OWN, sobol_points(OWN, count, int(rng.integers(2**31))))[:, 0] for _ in range(arms)])
    quality = np.stack([land.quality(arm, settings, own[arm]) for arm in range(arms)])
    return Trials(values, settings, own, quality, _curves(land, settings, own, quality, rng))


def _curves(
    land: Landscape, settings: np.ndarray, own: np.ndarray, quality: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return validation accuracies, (A, n, EPOCHS)."""
    world, (arms, count) = land.world, quality.shape
    epochs = np.arange(1, EPOCHS + 1)
    left = np.asarray(CALM)[np.searchsorted(np.multiply(MILESTONES, EPOCHS), epochs - 1, side="right")]
    shared = rng.normal(0, np.sqrt(world.pairing), count)
    luck = world.seed_sd * (shared + rng.normal(0, np.sqrt(1 - world.pairing), (arms, count)))
    slow_rate = np.sqrt(3) * (1 - 2 * settings[:, 0])  # variance 1
    lead = world.haste * np.sqrt(0.5) * (slow_rate + rng.normal(size=count))
    jitter = JITTER * left * (1 + 2 / epochs) * rng.normal(size=(arms, count, EPOCHS))
    curves = (quality + luck)[:, :, None] + lead[:, None] * left * (1 - epochs / EPOCHS) + jitter
    if world.trailing:
        for arm in range(1, arms):
            curves[arm] += (0.75 + 0.5 * own[arm])[:, None] * trail(land.level[arm])
    return curves


def trail(level: float) -> np.ndarray:
    """Return by how much a method trails that comes level at epoch `level`, (EPOCHS,), 0 or less."""
    return np.interp(np.arange(1, EPOCHS + 1), [*TRAIL, level], [*TRAIL.values(), 0.0])


def unit(space: Space, points: list[dict[str, float]]) -> np.ndarray:
    return np.array([[to_unit(space[name], point[name]) for name in space] for point in points])


def confirm_runs(
    world: World, quality: np.ndarray, seeds: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return validation and test accuracies of confirmation runs, (A, K, S) each.

    A run's luck is in part its seed's (shared by all runs), in part its seed's with its arm, in part its own; of
    each, a part shows on validation and test images alike.

    Args:
        world: the kind of study.
        quality: float (A, K), true accuracies.
        seeds: number of seeds S.
        rng: source of the luck.
    """
    arms, points = quality.shape
    alike, apart = np.sqrt(world.agreement), np.sqrt(1 - world.agreement)

    def luck(share: float, *size: int) -> np.ndarray:
        """Return luck on validation and on test images, (2, *size), of variance `share`."""
        return np.sqrt(share) * (alike * rng.normal(size=size) + apart * rng.normal(size=(2, *size)))

    both = (
        luck(world.pairing, 1, 1, seeds)
        + luck(world.suiting, arms, 1, seeds)
        + luck(1 - world.pairing - world.suiting, arms, points, seeds)
    )
    validation, test = quality[:, :, None] + world.seed_sd * both
    return validation, test
