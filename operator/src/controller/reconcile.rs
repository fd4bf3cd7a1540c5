//! One reconciliation of one ArrayJob: where it stands, one step further, and its status.

use super::case::{Case, Error};
use super::context::Context;
use super::furnish::furnish;
use super::lifecycle::{self, Stage};
use super::probe;
use super::tell::begun;
use crate::fleet::Fleet as _;
use crate::fleet::kubernetes::{KubernetesFleet, pod, pod_state};
use crate::recorded::{AtWork, at_work};
use crate::report::conditions::{Facts, Said};
use crate::report::status::{Story, plan_status, time};
use crate::turn::{self, Aim, Turn, prepare, turn};
use crate::validate::{self, Place};
use api::next_step::Step;
use api::phase::{Failure, reason};
use api::plan::{Allowance, Budget, Plan};
use crds::v1alpha1::status::{Endpoint, PlanStatus};
use crds::{ArrayJob, ArrayJobStatus};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::controller::Action;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long one reconciliation waits for news of servers at work.
const NEWS: Duration = Duration::from_secs(1);
/// Between two looks at servers whose containers run and do not answer yet.
const STARTING: Duration = Duration::from_millis(200);
/// Between two attempts to create pods that the cluster refuses.
const REFUSED: Duration = Duration::from_secs(2);
/// Between two looks when only the cluster can bring news, which it does by itself; for messages that time alone changes.
const QUIET: Duration = Duration::from_secs(5);

/// Takes one ArrayJob one step further.
///
/// # Errors
/// When the API server does not do its part; the step is taken again.
pub async fn reconcile(job: Arc<ArrayJob>, context: Arc<Context>) -> Result<Action, Error> {
    let _timer = context.metrics.reconciling();
    let memory = context.memory(&job)?;
    let mut job = job;
    if let Some(status) = memory.status() {
        Arc::make_mut(&mut job).status = Some(status);
    }
    let before = job.status.clone().unwrap_or_default();
    let case = Case { context: &context, memory: Arc::clone(&memory), job, before, now: Timestamp::now() };
    let action = case.step().await?;
    memory.errors.store(0, Ordering::Relaxed);
    Ok(action)
}

/// When to try again: sooner at first.
pub fn error_policy(job: Arc<ArrayJob>, error: &Error, context: Arc<Context>) -> Action {
    context.metrics.errors.inc();
    let errors = context.memory(&job).map_or(0, |memory| memory.errors.fetch_add(1, Ordering::Relaxed));
    let wait = Duration::from_millis(250 << errors.min(7));
    if matches!(error, Error::Predecessor | Error::Gone) {
        tracing::info!(job = job.name_any(), %error, ?wait, "tried again");
    } else {
        tracing::warn!(job = job.name_any(), namespace = job.namespace(), error = api::words::chain(error), ?wait, "tried again");
    }
    Action::requeue(wait)
}

impl Case<'_> {
    async fn step(self) -> Result<Action, Error> {
        match lifecycle::stage(&self.job, self.now) {
            Stage::Deleted => Ok(Action::await_change()),
            Stage::Expired => self.expire().await,
            Stage::Failed => self.put_away().await,
            Stage::Suspended => self.suspend().await,
            Stage::Late(failure) => self.fail(failure).await,
            Stage::New => self.start().await,
            Stage::Working => self.work().await,
            Stage::Complete => self.serve().await,
        }
    }

    /// Plans, and tells the plan, before anything is started.
    async fn start(self) -> Result<Action, Error> {
        let mut after = self.before.clone();
        after.start_time = Some(time(self.now));
        after.endpoint = Some(Endpoint {
            url: format!("http://{}.{}.svc", self.job.name_any(), self.job.namespace().unwrap_or_default()),
            token_secret: crate::fleet::kubernetes::names::own(&self.job),
        });
        let working = if validate::needs_probe(&self.manifest()) {
            if let Err(invalid) = validate::source(&self.job, Place::Cluster) {
                return self.fail(Failure { reason: reason::INVALID_SPEC.into(), message: invalid.to_string() }).await;
            }
            Said::yes("Probing", "a server is started to look at the source, since the manifest does not say what frames are")
        } else {
            match self.plan() {
                Ok(plan) => after.plan = Some(plan),
                Err(failure) => return self.fail(failure).await,
            }
            Said::yes("Planned", after.plan.as_ref().map_or_else(String::new, |plan| plan.summary.clone()))
        };
        let facts = Facts { working: Some(working), ..Facts::default() };
        let desired = after.plan.as_ref().map_or(1, |plan| plan.servers as usize);
        self.tell(&after, Story { facts, desired, ..self.story() }).await?;
        Ok(Action::requeue(Duration::ZERO))
    }

    /// The plan of the manifest as it is.
    fn plan(&self) -> Result<PlanStatus, Failure> {
        let invalid = |message: String| Failure { reason: reason::INVALID_SPEC.into(), message };
        let size = pod::size(&self.job, &self.context.settings.servers).map_err(|error| invalid(error.to_string()))?;
        let budget = Budget { memory: Allowance::PerServer(size.memory_bytes), cores: size.threads };
        let (_, plan) = prepare(&self.manifest(), &budget, Place::Cluster).map_err(|error| match error {
            turn::Error::Invalid(error) => invalid(error.to_string()),
            turn::Error::Memory(error) => Failure { reason: reason::INSUFFICIENT_MEMORY.into(), message: error.to_string() },
        })?;
        // What the pods' builder refuses is refused before the first pod.
        pod::build(&self.job, &self.context.settings.servers, &size, 0, pod::Start::default())
            .map_err(|error| invalid(error.to_string()))?;
        Ok(plan_status(&plan, self.job.metadata.generation.unwrap_or(1), size.memory_bytes))
    }

    /// The manifest with what is known beyond it: the frame's shape, the array's layout, and the generation that was planned. Later generations
    /// differ in nothing that servers know.
    fn manifest(&self) -> ArrayJob {
        let mut manifest = (*self.job).clone();
        if manifest.spec.source.frame.is_none() {
            manifest.spec.source.frame.clone_from(&self.before.frame);
        }
        manifest.status.get_or_insert_default().array.clone_from(&self.before.array);
        if let Some(plan) = &self.before.plan {
            manifest.metadata.generation = Some(plan.generation);
        }
        manifest
    }

    pub(super) fn fleet(&self, size: pod::Size) -> KubernetesFleet {
        let scratch = self.before.plan.as_ref().map_or(0, |plan| plan.scratch_bytes);
        let (context, recent) = (self.context, Arc::clone(&self.memory.recent));
        KubernetesFleet::new(
            context.client.clone(),
            Arc::clone(&self.job),
            context.settings.servers.clone(),
            size,
            scratch,
            &context.caches,
            recent,
        )
    }

    /// Turns the loop once over the job's pods.
    async fn work(self) -> Result<Action, Error> {
        if let Err(failure) = furnish(self.context, &self.memory, &self.job).await? {
            return self.fail(failure).await;
        }
        let size = match pod::size(&self.job, &self.context.settings.servers) {
            Ok(size) => size,
            Err(error) => return self.fail(Failure { reason: reason::INVALID_SPEC.into(), message: error.to_string() }).await,
        };
        if validate::needs_probe(&self.manifest()) {
            return probe::probe(self, size).await;
        }
        let Some(planned) = self.before.plan.clone() else {
            let mut after = self.before.clone();
            match self.plan() {
                Ok(plan) => after.plan = Some(plan),
                Err(failure) => return self.fail(failure).await,
            }
            let desired = after.plan.as_ref().map_or(1, |plan| plan.servers as usize);
            let facts = Facts { working: Some(Said::yes("Planned", "the first frame is known")), ..Facts::default() };
            self.tell(&after, Story { facts, desired, ..self.story() }).await?;
            return Ok(Action::requeue(Duration::ZERO));
        };
        let fleet = self.fleet(pod::Size { memory_bytes: planned.memory_limit_bytes, threads: planned.threads as usize, ..size });
        let budget = Budget { memory: Allowance::PerServer(planned.memory_limit_bytes), cores: planned.threads as usize };
        let (job, plan) = match at_work(&self.manifest(), &budget, Place::Cluster, &planned) {
            AtWork::Known(known) => *known,
            AtWork::Other(why) => return self.plan_anew(&fleet, &why).await,
            AtWork::Unplannable(error) => return self.keep_unplannable(&error).await,
        };
        let after = self.with_identity(&plan);
        let turn = turn(job, plan, &fleet, &self.memory.servers, Aim::Finish).await;
        let story = self.tell_turn(&turn, &fleet);
        let overdue = (!self.was_ready() && !begun(&turn))
            .then(|| lifecycle::start_overdue(&self.job, story.facts.stalled.as_ref(), self.now))
            .flatten();
        if let Some(failure) = overdue {
            return self.fail(failure).await;
        }
        let ended = story.facts.ended.is_some();
        self.tell(&after, story).await?;
        Ok(match turn.step {
            _ if ended => Action::requeue(Duration::ZERO),
            // What the cluster refuses now it may allow later.
            Step::Launch(_) if self.memory.recent.troubled().is_some() => Action::requeue(REFUSED),
            _ => self.wait(&turn).await,
        })
    }

    /// Waits for what may change next. Events of the cluster come by themselves.
    async fn wait(&self, turn: &Turn) -> Action {
        let up = turn.observed.progress().count();
        if up == turn.plan.partition.servers {
            self.memory.servers.until_news(&turn.observed, NEWS).await;
            return Action::requeue(Duration::ZERO);
        }
        let running = self
            .context
            .caches
            .pods
            .state_filter(|pod| pod.owner_references().iter().any(|owner| Some(&owner.uid) == self.job.uid().as_ref()));
        let listening_soon =
            running.iter().filter(|pod| matches!(pod_state::server_state(pod), crate::fleet::ServerState::Up(_))).count() > up;
        if listening_soon { Action::requeue(STARTING) } else { Action::requeue(if up > 0 { NEWS } else { QUIET }) }
    }

    /// Starts the job again with a new plan: the servers hold shares of a plan that this operator does not make.
    async fn plan_anew(self, fleet: &KubernetesFleet, why: &str) -> Result<Action, Error> {
        tracing::warn!(job = self.job.name_any(), why, "the job starts again with a new plan");
        self.memory.recent.stop();
        let mut after = self.before.clone();
        after.plan = self.plan().ok();
        (after.start_time, after.progress) = (Some(time(self.now)), None);
        after.phases.clear();
        let facts = Facts {
            working: Some(Said::yes("PlanChanged", format!("the job starts again, since the operator was updated: {why}"))),
            ..Facts::default()
        };
        self.tell(&after, Story { facts, ..self.story() }).await?;
        fleet.remove().await;
        Ok(Action::requeue(NEWS))
    }

    /// The status with the identity of `plan`, which an operator of an older version recorded in another form.
    fn with_identity(&self, plan: &Plan) -> ArrayJobStatus {
        let mut after = self.before.clone();
        if let Some(recorded) = &mut after.plan {
            recorded.fingerprint = plan.identity();
        }
        after
    }

    /// Leaves a working job alone that this version cannot plan: its servers hold computed data, which another version can go on with.
    async fn keep_unplannable(self, error: &turn::Error) -> Result<Action, Error> {
        let message = format!(
            "this version of the operator cannot plan the job, which an older version started: {error}; the servers are left as they are; \
             install the older version again, or delete the job and apply a changed one"
        );
        let stalled = Failure { reason: "PlanChanged".into(), message };
        let working = Said::no(&stalled.reason, stalled.message.clone());
        let facts = Facts { ready: self.ready_before(), working: Some(working), stalled: Some(stalled), ..Facts::default() };
        self.tell(&self.before, Story { facts, ..self.story() }).await?;
        Ok(self.until_alarm())
    }

    /// The condition Ready as the status has it.
    fn ready_before(&self) -> Option<Said> {
        let ready = self.before.conditions.iter().find(|condition| condition.type_ == "Ready");
        ready.map(|ready| Said { is: ready.status == "True", reason: ready.reason.clone(), message: ready.message.clone() })
    }

    /// Keeps results readable: a server that is lost comes back and computes its share again.
    async fn serve(self) -> Result<Action, Error> {
        furnish(self.context, &self.memory, &self.job).await?.ok();
        let (Ok(size), Some(planned)) = (pod::size(&self.job, &self.context.settings.servers), self.before.plan.clone()) else {
            return Ok(self.until_alarm());
        };
        let fleet = self.fleet(pod::Size { memory_bytes: planned.memory_limit_bytes, threads: planned.threads as usize, ..size });
        let budget = Budget { memory: Allowance::PerServer(planned.memory_limit_bytes), cores: planned.threads as usize };
        let (job, plan) = match at_work(&self.manifest(), &budget, Place::Cluster, &planned) {
            AtWork::Known(known) => *known,
            AtWork::Other(why) => return self.serve_without_replacements(&why).await,
            AtWork::Unplannable(error) => return self.serve_without_replacements(&error.to_string()).await,
        };
        let after = self.with_identity(&plan);
        let turn = turn(job, plan, &fleet, &self.memory.servers, Aim::Serve).await;
        let mut story = self.tell_turn(&turn, &fleet);
        // What has ended stays ended; a server that cannot come back is told as an obstacle.
        if let Some(Err(failure)) = story.facts.ended.take() {
            story.facts.stalled = Some(failure);
        }
        self.tell(&after, story).await?;
        let all_up = turn.observed.progress().count() == turn.plan.partition.servers;
        Ok(if turn.step == Step::Finish && all_up { self.until_alarm() } else { Action::requeue(NEWS) })
    }

    /// The servers of a complete job hold shares of a plan that this operator does not make. They serve on; a new server could not join.
    async fn serve_without_replacements(self, why: &str) -> Result<Action, Error> {
        let message = format!(
            "the operator was updated: {why}; results stay readable as long as no server is lost; delete the job and apply it again to \
             compute them again"
        );
        let stalled = Some(Failure { reason: "PlanChanged".into(), message });
        let facts = Facts { ready: self.ready_before(), stalled, ..Facts::default() };
        self.tell(&self.before, Story { facts, ..self.story() }).await?;
        Ok(self.until_alarm())
    }

    fn until_alarm(&self) -> Action {
        let alarm = lifecycle::next_alarm(&self.job, self.now).unwrap_or(QUIET);
        Action::requeue(alarm.clamp(STARTING, QUIET))
    }

    async fn suspend(self) -> Result<Action, Error> {
        let mut after = self.before.clone();
        let ended = crate::report::conditions::ended(&after.conditions).is_some();
        if !ended {
            // Arrays live in the servers' memory: the job begins again, with its deadlines.
            (after.start_time, after.progress, after.servers) = (None, None, None);
            // The manifest may change before it begins again, and the first frame with it.
            (after.plan, after.frame, after.array) = (None, None, None);
            after.phases.clear();
        }
        let facts = Facts { suspended: true, ..Facts::default() };
        self.memory.recent.stop();
        // Told first, then done: a reader never sees a job without servers that is said to run.
        self.tell(&after, Story { facts, ..self.story() }).await?;
        self.remove(|_| true).await;
        Ok(self.again_while_pods())
    }

    async fn expire(self) -> Result<Action, Error> {
        let ready = Said::no("Expired", "ttlSecondsAfterFinished has passed: the servers are gone, and the arrays with them");
        let facts = Facts { ready: Some(ready), ..Facts::default() };
        self.memory.recent.stop();
        self.tell(&self.before, Story { facts, ..self.story() }).await?;
        self.remove(|_| true).await;
        Ok(self.again_while_pods())
    }

    /// Pods that still run are stopped; those that ended keep their logs until the job goes.
    async fn put_away(self) -> Result<Action, Error> {
        self.remove(|pod| pod_state::terminated(pod).is_none()).await;
        Ok(self.until_alarm())
    }

    pub(super) async fn fail(self, failure: Failure) -> Result<Action, Error> {
        tracing::info!(
            job = self.job.name_any(),
            namespace = self.job.namespace(),
            reason = failure.reason,
            message = failure.message,
            "job failed"
        );
        let facts = Facts { ended: Some(Err(failure)), ..Facts::default() };
        self.tell(&self.before, Story { facts, ..self.story() }).await?;
        Ok(Action::requeue(Duration::ZERO))
    }

    async fn remove(&self, which: impl Fn(&k8s_openapi::api::core::v1::Pod) -> bool) {
        if let Ok(size) = pod::size(&self.job, &self.context.settings.servers) {
            self.fleet(size).remove_if(which).await;
        }
    }

    fn again_while_pods(&self) -> Action {
        let uid = self.job.uid();
        let own = |pod: &k8s_openapi::api::core::v1::Pod| pod.owner_references().iter().any(|owner| Some(&owner.uid) == uid.as_ref());
        if self.context.caches.pods.find(own).is_some() { Action::requeue(NEWS) } else { Action::await_change() }
    }
}
