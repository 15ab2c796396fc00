"""Tags of MLflow runs, and the values that only a tag has."""

from __future__ import annotations

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
TAG_DATA = "assay.data"  # the data's fingerprint; on the parent of a study on several data sets all of them
TAG_PLAN = "assay.plan."  # followed by a key of the plan; of the study's run
TAG_VERSION = "assay.version."  # followed by the name of a package; of the study's run
TAG_MACHINE = "assay.machine."  # followed by the name of a machine fact; of the study's run
TAG_COMMIT = "mlflow.source.git.commit"  # of the folder that the study was started in; MLflow's own name
TAG_PARENT = "mlflow.parentRunId"  # the name that MLflow's own pages look for
CHAMPION = "champion"  # alias of a registered model's version
# Facts that are only in tags, never in the journal.
STUDY = "study"  # TAG_PHASE of the run that stands for the whole study
RUNNING = "running"  # TAG_OUTCOME until there is one
INTERRUPTED = "interrupted"  # TAG_OUTCOME of a run that a resumed study will continue
UNDELIVERED = "undelivered"  # TAG_OUTCOME of a run of which MLflow refuses a part
