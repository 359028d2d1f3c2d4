//! The instances of one request: where they come from, and where they go after a question. Never
//! asks them anything but to start and to take their configuration.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::Session;
use crate::policy::binding::{Binding, Hook};
use crate::policy::engine::Share;
use crate::policy::failure::{FailureKind, Fault};
use crate::policy::instance::{Instance, within};

impl Session {
    /// Keeps an instance for the request's next question, or gives it back for other requests'. One
    /// that scored may be asked for its reasons first.
    pub(super) fn keep(&mut self, of: Arc<Binding>, instance: Instance, hook: Hook) {
        let scored = hook == Hook::Route && of.policy.hooks.reasons && !self.aside;
        match &of.warm {
            Some(shelf) if !scored => shelf.put(instance),
            Some(_) | None => self.instances.push((of, instance)),
        }
    }

    /// The live instance that serves this binding. It is out of the session while it is asked, so
    /// that a request that is given up in the middle never enters it again.
    pub(super) fn take(&mut self, binding: &Arc<Binding>) -> Option<(Arc<Binding>, Instance)> {
        let at = self.instances.iter().position(|(of, _)| of.shares_instance_with(binding));
        if let Some(at) = at {
            return Some(self.instances.swap_remove(at));
        }
        binding.spare().map(|instance| (Arc::clone(binding), instance))
    }

    /// A new one, started and configured.
    pub(super) async fn fresh(
        &mut self,
        binding: &Arc<Binding>,
        hook: Hook,
    ) -> Result<Instance, Fault> {
        let artifact = &binding.policy.artifact;
        if !self.engine.owns(artifact) {
            let detail = "the policy was admitted by another engine; admit it to this one";
            return Err(Fault::new(FailureKind::Internal, detail));
        }
        let lacks = binding.lacks();
        if !lacks.is_empty() {
            return Err(Fault::ungranted(lacks));
        }
        let share = match binding.builtin {
            true => Share::Any,
            false => Share::Of(binding.quota.as_ref()),
        };
        let slot = match self.engine.free_slot(share) {
            Some(slot) => Some(slot),
            // Who waits keeps no instance that another one waits for.
            None if binding.builtin || hook == Hook::Redact => {
                self.instances.clear();
                self.engine.slot(share).await
            }
            // The built-in stands behind the others and need not wait.
            None => None,
        };
        let Some(slot) = slot else {
            return Err(Fault::new(FailureKind::Saturated, "no instance is free"));
        };
        let start = pin!(Instance::start(&self.engine, artifact, Some(slot), binding.time()));
        let started = within(binding.time(), Duration::ZERO, start).await;
        let mut instance = started.map_err(|error| self.broken(binding, hook, error))?;
        if let Some(config) = &binding.config {
            let deadline = self.engine.limits.configure_deadline;
            let configure = instance.configure(artifact, config, deadline);
            let configured = within(deadline, Duration::ZERO, configure).await;
            if let Err(words) = configured.map_err(|error| self.broken(binding, hook, error))? {
                self.note(binding, hook, &words);
                let detail = "it refuses its configuration; its log says why";
                return Err(Fault::new(FailureKind::Internal, detail));
            }
        }
        Ok(instance)
    }
}
