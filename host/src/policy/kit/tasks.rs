//! How well a classifier names tasks, over all cases that expect one: macro-F1 and the recall of
//! each task. Only counts; whether a case passes is decided elsewhere.

use std::collections::BTreeMap;

use serde_json::Value;

/// How often a task was expected, found, and both.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    expected: u32,
    found: u32,
    both: u32,
}

/// Counts by task.
#[derive(Debug, Default)]
pub(crate) struct Tasks(BTreeMap<String, Count>);

impl Tasks {
    /// Counts a case that expects a task by its name; a verdict without one is a miss.
    pub(crate) fn count(&mut self, expected: &Value, verdict: &Value) {
        let task = |value: &Value| value.get("task").and_then(Value::as_str).map(str::to_owned);
        let Some(wanted) = task(expected) else { return };
        let found = task(verdict);
        let right = found.as_ref() == Some(&wanted);
        if let Some(found) = found {
            self.0.entry(found).or_default().found += 1;
        }
        let count = self.0.entry(wanted).or_default();
        count.expected += 1;
        count.both += u32::from(right);
    }

    /// One line, or none where fewer than two tasks are expected: there is nothing to tell apart.
    pub(crate) fn told(&self) -> Option<String> {
        let expected: Vec<_> = self.0.iter().filter(|(_, it)| it.expected > 0).collect();
        if expected.len() < 2 {
            return None;
        }
        let f1 = |it: &Count| f64::from(2 * it.both) / f64::from(it.expected + it.found);
        let tasks = u32::try_from(expected.len()).unwrap_or(u32::MAX);
        let mean = expected.iter().map(|(_, it)| f1(it)).sum::<f64>() / f64::from(tasks);
        let recalls: Vec<String> = expected
            .iter()
            .map(|(task, it)| format!("{task} {} of {}", it.both, it.expected))
            .collect();
        Some(format!("tasks: macro-F1 {mean:.3}; found {}", recalls.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn macro_f1_is_the_mean_over_the_tasks_that_are_expected() {
        let mut tasks = Tasks::default();
        for (expected, found) in
            [("chat", "chat"), ("chat", "code"), ("code", "code"), ("code", "writing")]
        {
            tasks.count(&json!({"task": expected}), &json!({"task": found}));
        }
        tasks.count(&json!({"difficulty": 0.1}), &json!({"task": "chat"}));
        // chat: 2·1/(2+1); code: 2·1/(2+2).
        let told = "tasks: macro-F1 0.583; found chat 1 of 2, code 1 of 2";
        assert_eq!(tasks.told().as_deref(), Some(told));
        tasks.count(&json!({"task": "chat"}), &json!({"refusal": "abstained"}));
        assert!(tasks.told().unwrap().contains("chat 1 of 3"));
    }

    #[test]
    fn one_task_alone_tells_nothing() {
        let mut tasks = Tasks::default();
        tasks.count(&json!({"task": "chat"}), &json!({"task": "chat"}));
        assert_eq!(tasks.told(), None);
    }
}
