//! How good a model is expected to be at a task before it has been tried here. From published
//! benchmark scores where the source has any, else estimated. Never learns; that is routing's.

/// The tasks that qualities are told apart by; of any other label the general quality counts.
pub const TASKS: [&str; 10] = [
    "chat",
    "writing",
    "summarization",
    "extraction",
    "translation",
    "code",
    "data-analysis",
    "reasoning",
    "agent",
    "vision",
];

/// Where a prior comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriorSource {
    /// Published scores of this very model.
    Benchmarks,
    /// Family, generation, size words and price.
    Estimated,
    /// Written in the operator's configuration.
    Operator,
}

/// What to expect of a model, in thousandths of the best imaginable one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quality {
    pub general_permille: u16,
    /// Only where benchmarks of coding or agents say so; otherwise the general one counts.
    pub code_permille: Option<u16>,
    pub reasoning: bool,
    pub vision: bool,
    pub declared: bool,
}

/// A prior for one task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prior {
    /// 0 to 1.
    pub value: f64,
    pub source: PriorSource,
}

/// Taken off a model that doesn't think first, in thousandths, where thinking is the task.
const UNREASONED_PERMILLE: u16 = 60;

/// What a task asks of a model; found once for all candidates of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TaskDemands {
    /// Benchmarks of coding and agents speak for it.
    measured: bool,
    /// Thinking first is the task.
    thinks: bool,
    sees: bool,
    /// How much of a model's weakness shows.
    weight: f64,
}

// === impl TaskDemands ===

impl TaskDemands {
    /// Of a task label; an organization's own labels count as general work.
    pub fn of(task: &str) -> Self {
        Self {
            measured: matches!(task, "code" | "agent" | "data-analysis"),
            thinks: matches!(task, "reasoning" | "agent" | "data-analysis"),
            sees: task == "vision",
            weight: weight(task),
        }
    }
}

// === impl PriorSource ===

impl PriorSource {
    /// As the explanation of a decision names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Benchmarks => "benchmarks",
            Self::Estimated => "estimated",
            Self::Operator => "operator",
        }
    }
}

// === impl Quality ===

impl Quality {
    /// The prior for a task.
    pub fn prior(&self, task: &TaskDemands) -> Prior {
        let (permille, source) = match self.code_permille {
            _ if self.declared => (self.general_permille, PriorSource::Operator),
            Some(code) if task.measured => (code, PriorSource::Benchmarks),
            _ => (self.general_permille, PriorSource::Estimated),
        };
        let permille = match (task.thinks && !self.reasoning, task.sees && !self.vision) {
            (_, true) => 0,
            (true, false) => permille.saturating_sub(UNREASONED_PERMILLE),
            (false, false) => permille,
        };
        let shortfall = (1.0 - f64::from(permille) / 1000.0) * task.weight;
        let value = if permille == 0 { 0.0 } else { (1.0 - shortfall).clamp(0.0, 1.0) };
        Prior { value, source }
    }
}

/// How much of a model's weakness shows at a task: extraction forgives a small model, an agent's
/// many steps multiply its mistakes. Weighted by judgement; outcomes correct it later.
fn weight(task: &str) -> f64 {
    match task {
        "extraction" => 0.6,
        "summarization" | "translation" => 0.65,
        "chat" => 0.8,
        "writing" => 0.85,
        "vision" | "embedding" => 0.9,
        "agent" | "reasoning" => 1.1,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MID: Quality = Quality {
        general_permille: 700,
        code_permille: Some(500),
        reasoning: false,
        vision: false,
        declared: false,
    };

    fn prior(quality: Quality, task: &str) -> Prior {
        quality.prior(&TaskDemands::of(task))
    }

    #[test]
    fn benchmarks_speak_for_the_tasks_they_measured() {
        assert_eq!(prior(MID, "code").source, PriorSource::Benchmarks);
        assert!((prior(MID, "code").value - 0.5).abs() < 1e-9);
        assert_eq!(prior(MID, "translation").source, PriorSource::Estimated);
        let declared = Quality { declared: true, ..MID };
        assert_eq!(prior(declared, "code").source, PriorSource::Operator);
        assert_eq!(prior(declared, "code").source.label(), "operator");
    }

    #[test]
    fn easy_tasks_forgive_and_hard_ones_do_not() {
        let value = |task: &str| prior(MID, task).value;
        assert!(value("extraction") > value("chat"));
        assert!(value("chat") > value("reasoning"));
        assert!((value("our-own-label") - 0.7).abs() < 1e-9);
        assert!(value("vision") == 0.0, "a model without eyes is no candidate for pictures");
        let thinker = Quality { reasoning: true, ..MID };
        assert!(prior(thinker, "reasoning").value > value("reasoning"));
    }
}
