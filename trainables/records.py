"""Every name that is written down: phases, outcomes, metrics, tags, and the columns of the journal.

The journal (`study.db`) is read by `reports` and by the delivery to MLflow, so its schema stands here, where all
of them may look. JSON columns hold one object each. Times are POSIX seconds. Accuracies are fractions in [0, 1].
"""

from __future__ import annotations

from typing import Literal, get_args

# Phases of a study, and the final training from a recipe.
SEARCH = "search"
CONFIRM = "confirm"
TRAIN = "train"
PHASES = (SEARCH, CONFIRM, TRAIN)

# How a run ends.
COMPLETED = "completed"
STOPPED = "stopped"
DIVERGED = "diverged"
FAILED = "failed"
OUTCOMES = (COMPLETED, STOPPED, DIVERGED, FAILED)

# Metrics of every epoch. Training figures are measured on un-mixed, un-augmented training images. Every loss is log
# loss in nats; calibration errors are expected ones, fractions in [0, 1].
TRAIN_LOSS = "train_loss"
TRAIN_ACCURACY = "train_accuracy"
VALIDATION_LOSS = "validation_loss"
VALIDATION_ACCURACY = "validation_accuracy"
VALIDATION_BALANCED_ACCURACY = "validation_balanced_accuracy"
VALIDATION_MACRO_F1 = "validation_macro_f1"
VALIDATION_CALIBRATION_ERROR = "validation_calibration_error"
LEARNING_RATE = "learning_rate"
SECONDS = "seconds"
IMAGES_PER_SECOND = "images_per_second"
PLAIN_EPOCHS = "plain_epochs"  # cost so far, in epochs of plain training
EPOCH_METRICS = (
    TRAIN_LOSS, TRAIN_ACCURACY, VALIDATION_LOSS, VALIDATION_ACCURACY,
    VALIDATION_BALANCED_ACCURACY, VALIDATION_MACRO_F1, VALIDATION_CALIBRATION_ERROR,
    LEARNING_RATE, SECONDS, IMAGES_PER_SECOND, PLAIN_EPOCHS,
)  # fmt: skip

# Columns of a run's history, beside its metrics.
RUN = "run"
EPOCH = "epoch"
AT = "at"  # POSIX seconds

# Final figures of a run.
SELECTION = "selection"  # mean validation metric of the last L epochs: what runs are judged on
TEST_ACCURACY = "test_accuracy"
TEST_LOSS = "test_loss"
TEST_BALANCED_ACCURACY = "test_balanced_accuracy"
TEST_MACRO_F1 = "test_macro_f1"
TEST_CALIBRATION_ERROR = "test_calibration_error"
TEST_METRICS = (TEST_ACCURACY, TEST_BALANCED_ACCURACY, TEST_MACRO_F1, TEST_LOSS, TEST_CALIBRATION_ERROR)

# What a study may be judged on: `metric` in a study file.
Metric = Literal[
    "validation_accuracy",
    "validation_balanced_accuracy",
    "validation_macro_f1",
    "validation_loss",
    "validation_calibration_error",
]
METRICS: tuple[Metric, ...] = get_args(Metric)
LOWER_IS_BETTER = (TRAIN_LOSS, VALIDATION_LOSS, VALIDATION_CALIBRATION_ERROR, TEST_LOSS, TEST_CALIBRATION_ERROR)
WORST_LOSS = 100.0  # nats; about what float32 gives for certainty in a wrong class


def oriented(metric: str, value: float) -> float:
    """Return a figure so that more is better: losses and errors with their sign turned. Twice is once."""
    return -value if metric in LOWER_IS_BETTER else value


def worst(metric: str) -> float:
    """Return what a run counts with that could not be measured: the worst figure there is."""
    if metric not in LOWER_IS_BETTER:
        return 0.0
    return WORST_LOSS if metric in {TRAIN_LOSS, VALIDATION_LOSS, TEST_LOSS} else 1.0


# Decisions.
RUNG = "rung"  # detail: rung (epoch), value, cutoff, action
POOL = "pool"  # detail: condition, search, trials, points: [{k, arm, votes, values, own: {arm: values}}]
LOOK = "look"  # detail: look (from 0), seeds, settled: [condition]; a settled condition gets no more seeds
EXTEND = "extend"  # detail: what, exploratory, plan: the plan before
RESOURCES = "resources"  # detail: what a run takes from here on, as in a study file
END = "end"  # detail: runs; the study did all that it was going to do, unless something follows
Action = Literal["pass", "stop", "would_stop"]
PASS, STOP, WOULD_STOP = get_args(Action)
CONFUSION = "confusion"  # of a final training's run; detail: counts [[int]], true class by predicted class

# Verdicts.
HELPS = "helps"
HURTS = "hurts"
EQUIVALENT = "equivalent"
UNDECIDED = "undecided"
VERDICTS = (HELPS, HURTS, EQUIVALENT, UNDECIDED)

# Tags of MLflow runs.
TAG_STUDY = "assay.study"
TAG_PHASE = "assay.phase"
TAG_METHOD = "assay.method"
TAG_CONDITION = "assay.condition"
TAG_ARM = "assay.arm"
TAG_SEED = "assay.seed"
TAG_TRIAL = "assay.trial"
TAG_OUTCOME = "assay.outcome"
TAG_RUN = "assay.run"
TAG_STUDY_ID = "assay.study_id"  # one study's own id: names may repeat, ids do not
TAG_AUDIT = "assay.audit"
TAG_FACTOR = "assay.condition."  # followed by the name of a factor of the condition
TAG_LEVEL = "assay.level."  # followed by the name of a compared factor
TAG_COMPUTE_OF = "assay.compute_of"  # the method whose compute the run has
TAG_DATA = "assay.data"  # the data's fingerprint
TAG_PLAN = "assay.plan."  # followed by a key of the plan; of the study's run
TAG_VERSION = "assay.version."  # followed by the name of a package; of the study's run
TAG_MACHINE = "assay.machine."  # followed by what is said of it; of the study's run
TAG_COMMIT = "mlflow.source.git.commit"  # of the folder that the study was started in; MLflow's own name
TAG_PARENT = "mlflow.parentRunId"  # the name that MLflow's own pages look for
CHAMPION = "champion"  # alias of a registered model's version
# What only a tag says, never the journal.
STUDY = "study"  # TAG_PHASE of the run that stands for the whole study
RUNNING = "running"  # TAG_OUTCOME until there is one
INTERRUPTED = "interrupted"  # TAG_OUTCOME of a run that a resumed study will continue
UNDELIVERED = "undelivered"  # TAG_OUTCOME of a run of which MLflow refuses a part

# Files of a study's folder.
STUDY_FILE = "study.yaml"
JOURNAL_FILE = "study.db"
OPTUNA_FILE = "optuna.db"
MLFLOW_FILE = "mlflow.db"
ARTIFACTS = "artifacts"
CHECKPOINTS = "checkpoints"
REPORT = "report"
RECIPE_FILE = "recipe.yaml"
LOGS = "logs"
DELIVERY_FILE = "delivery.json"  # what MLflow does not have yet
DELIVERY_LOCK = "delivery.lock"
DELIVERY_LOG = "mlflow.log"
MODELS = "models"  # of a final training: RUN.keras, and RUN.json beside it
# Artifacts of MLflow runs that are no files of the folder.
HISTORY_ARTIFACT = "history.parquet"  # of a child: a row for each epoch
FACTS_ARTIFACT = "facts.json"
JOURNAL_ARTIFACT = "journal.json"  # of the study's run: plan, decisions, what was searched, single test images
LONG_PARAMETERS_ARTIFACT = "long_parameters.json"  # what is too long for MLflow, whole
LONG_TAGS_ARTIFACT = "long_tags.json"

# Keys of the journal's `meta` table; every value is JSON.
META_SCHEMA = "schema"
META_CURVES = "curves"  # path of the table that is replayed, or empty
META_RECIPE = "recipe"  # of a final training: {recipe, seeds, config, incomparable}
META_REGISTER = "register"  # of a final training: the name under which its models go into MLflow's registry
META_ID = "id"  # unique, one per study: how its runs are recognised in MLflow
META_STUDY = "study"  # the resolved study file
META_PLAN = "plan"  # see `PLAN` below
META_REGISTER = "register"  # of a final training: the name under which its best model is registered, or null
META_FACTS = "facts"  # versions, machine, git, data: fingerprint, class names, image shape, sizes, test labels
TEST_LABELS = "test_labels"  # of the facts about the data: base64 of zlib of uint16 (n,)
PLAN = """
The plan, as JSON. Keys marked + may be missing in an older plan: the default stands behind them.
  name              str         the study's name
  metric            str         the selection metric, a key of the epoch metrics
  smallest_effect   float       smallest effect of interest, a fraction (0.005 is half a point)
  alpha             float       family-wise error rate
  seeds             int         confirmation seeds asked for now
  points            int         pooled points of one search, at most
  trials_per_arm    int         search trials of an arm in one search
  + factors         {factor: [level]} [{}]     compared factors beside the method, in order; a factorial has several
  + looks           [int] [[seeds]]            seeds at which the family is judged, increasing; the last is `seeds`
  + look_alphas     [float] [[alpha]]          the error rate of each look; they add up to alpha
  + replicates      int [1]                    searches of every arm, each with its own points and its own pool: trial k
                                               is of search k // trials_per_arm, pooled point p of search p // points
                                               (with one search, every p is of it)
  + match           str ["epochs"]             epochs | steps | compute
  + designed        int [trials_per_arm]       the first trials of a search, drawn without looking at results
  + extensions      [{what: [str], exploratory: bool}] [[]]   how the study was grown after it began
  conditions        [{name, values: {factor: value}, epochs, selection_epochs, rungs: [epoch]}]
  arms              [{name, method, condition, cost, reference: bool, parameters}]
                                name is unique; method is the display name of the level or cell; cost in plain epochs
                                per epoch; parameters are what the study fixes of the method, by plain name
    + levels        {factor: level} [{}]       the cell of a factorial; `method` is one where several are crossed
    + epochs        int [the condition's]      its training length
    + compute_of    str [null]                 not searched: another arm of the condition (`same_as`) at
                                               the compute of the method named here, not retuned at that length
    + spaces        {dimension: {low, high, log, integer} | [choice]} [{}]   what its search varies
    + off_from      int [its length]           epoch, from 0, from which the method is off in every run
    + block_ends    [int] [[]]                 epochs finished at the ends of the off blocks of its on/off cycle
    + same_as       str [null]                 display name of the arm whose points and values it takes
  contrasts         [{condition, method, reference}]  the family, in order; display names
    + family        int [0]                    contrasts that were added later are a family of their own
"""

SCHEMA_VERSION = 1
JOURNAL_SCHEMA = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,          -- order of creation
    run TEXT NOT NULL UNIQUE,        -- name, the same in every repetition of the study
    phase TEXT NOT NULL,
    condition TEXT NOT NULL,
    arm TEXT NOT NULL,               -- unique name of the arm (method and condition)
    method TEXT NOT NULL,            -- display name of the method
    k INTEGER NOT NULL,              -- search: trial number in its arm; confirm: number of the pooled point
    seed INTEGER NOT NULL,           -- search: 0; confirm: seed number, from 0
    audit INTEGER NOT NULL,          -- 1: runs to the end whatever the rungs say
    config TEXT NOT NULL,            -- JSON, a whole RunConfig
    parameters TEXT NOT NULL,        -- JSON, plain names (learning_rate, mixup.alpha) to values
    searched TEXT NOT NULL DEFAULT '{}', -- JSON, the values of the searched dimensions
    at REAL NOT NULL
);
CREATE TABLE reports (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs(run),
    epoch INTEGER NOT NULL,          -- epochs finished, from 1
    metrics TEXT NOT NULL,           -- JSON, EPOCH_METRICS
    at REAL NOT NULL,
    UNIQUE (run, epoch)
);
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,              -- RUNG, POOL, LOOK, EXTEND, RESOURCES, END or CONFUSION
    run TEXT,                        -- RUNG, CONFUSION: the run
    detail TEXT NOT NULL,            -- JSON
    at REAL NOT NULL
);
CREATE TABLE outcomes (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE REFERENCES runs(run),
    outcome TEXT NOT NULL,           -- one of OUTCOMES
    epoch INTEGER NOT NULL,          -- epochs finished
    reason TEXT NOT NULL,            -- empty, or why it failed, or what is wrong with a completed run
    metrics TEXT NOT NULL,           -- JSON: SELECTION, and in confirmation TEST_METRICS
    at REAL NOT NULL
);
CREATE TABLE examples (              -- confirmation runs: each test example, in the order of the data
    run TEXT PRIMARY KEY REFERENCES runs(run),
    correct BLOB NOT NULL,           -- zlib of numpy.packbits of bool (n,)
    loss BLOB NOT NULL,              -- zlib of float16 (n,), log loss in nats
    n INTEGER NOT NULL
);
"""
