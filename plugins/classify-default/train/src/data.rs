//! Reads the labelled prompts that are not the project's own: JSON lines in a folder that the
//! caller names. Never copies any of it.

use std::path::Path;

use classify_default::training::TASKS;
use turnpike_policy_sdk::json::Json;
use turnpike_policy_sdk::mock::MockRequest;

/// Prompts of each set, one a line: the task, a tab, the prompt.
const HELD_OUT: [(&str, &str); 3] = [
    ("everyday", include_str!("../held-out/everyday.txt")),
    ("ordinary", include_str!("../held-out/ordinary.txt")),
    ("borders", include_str!("../held-out/borders.txt")),
];

/// A request with the task that it is.
pub(crate) struct Prompt {
    /// The data that it is from; of our own prompts, the pattern.
    pub(crate) source: String,
    /// An index of [`TASKS`].
    pub(crate) task: usize,
    pub(crate) text: String,
    pub(crate) request: MockRequest,
}

impl Prompt {
    /// A single message without tools.
    pub(crate) fn of(source: &str, task: usize, text: String) -> Self {
        let request = MockRequest::new().with_message("user", &text);
        Self { source: source.to_owned(), task, text, request }
    }
}

/// A question, and whether a weak and a strong model answered it rightly.
pub(crate) struct Question {
    /// `gsm8k` or `mmlu:<subject>`.
    pub(crate) source: String,
    pub(crate) request: MockRequest,
    pub(crate) weak: bool,
    pub(crate) strong: bool,
}

impl Question {
    /// What the strong model gains: 1, 0 or -1.
    pub(crate) fn gain(&self) -> f64 {
        f64::from(u8::from(self.strong)) - f64::from(u8::from(self.weak))
    }
}

pub(crate) fn task_number(task: &str) -> Result<usize, String> {
    let known = TASKS.iter().position(|it| *it == task);
    known.ok_or_else(|| format!("no task {task:?}; there are {}", TASKS.join(", ")))
}

/// `tasks/dev.jsonl`.
pub(crate) fn tasks(folder: &Path) -> Result<Vec<Prompt>, String> {
    let form = "{\"source\":\"…\",\"task\":\"code\",\"prompt\":\"…\"}, with \"tools\":\
                [{\"name\":\"…\",\"description\":\"…\"}] where tools were offered";
    lines(folder, "tasks/dev.jsonl", form, |row| {
        let text = string(row, "prompt")?;
        let mut request = MockRequest::new().with_message("user", &text);
        for tool in row.get("tools").map(Json::elements).unwrap_or_default() {
            let description = string(tool, "description").unwrap_or_default();
            request = request.with_tool(&string(tool, "name")?, &description);
        }
        let task = task_number(&string(row, "task")?)?;
        Ok(Prompt { source: string(row, "source")?, task, text, request })
    })
}

/// `difficulty/dev.jsonl`.
pub(crate) fn questions(folder: &Path) -> Result<Vec<Question>, String> {
    let form = "{\"source\":\"mmlu:astronomy\",\"prompt\":\"…\",\"weak\":false,\"strong\":true}";
    lines(folder, "difficulty/dev.jsonl", form, |row| {
        let flag = |name: &str| match row.get(name) {
            Some(Json::Bool(flag)) => Ok(*flag),
            _ => Err(format!("{name:?} is not true or false")),
        };
        Ok(Question {
            source: string(row, "source")?,
            request: MockRequest::new().with_message("user", &string(row, "prompt")?),
            weak: flag("weak")?,
            strong: flag("strong")?,
        })
    })
}

/// The prompts that are asked about and never learnt from.
pub(crate) fn held_out() -> Result<Vec<Prompt>, String> {
    let prompt = |set: &str, line: &str| {
        let (task, text) = line.split_once('\t').ok_or("held-out: no tab in a line")?;
        Ok(Prompt::of(set, task_number(task)?, text.replace("\\n", "\n")))
    };
    let of =
        |(set, text): (&'static str, &'static str)| text.lines().map(move |it| prompt(set, it));
    HELD_OUT.into_iter().flat_map(of).collect()
}

fn lines<T>(
    folder: &Path,
    name: &str,
    form: &str,
    read: impl Fn(&Json) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let path = folder.join(name);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        format!(
            "cannot read {}: {error}. It has one JSON object a line, {form}. Say where the folder \
             with {name} is: make classifier-report DATA=FOLDER. docs/classifier.md says what the \
             data are and where they come from",
            path.display()
        )
    })?;
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let row = Json::parse(line).and_then(|row| read(&row));
        rows.push(row.map_err(|it| format!("{}, line {}: {it}", path.display(), index + 1))?);
    }
    Ok(rows)
}

fn string(row: &Json, name: &str) -> Result<String, String> {
    let value = row.get(name).and_then(Json::as_str);
    value.map(str::to_owned).ok_or_else(|| format!("{name:?} is not a text"))
}
