//! One way to classify: the same words are the same task and as hard, in whatever dialect they are
//! asked and however the answer is sent.

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use turnpike_tests::{ORG, Stage};

use super::speech::Ask;
use super::words::TEXTS;
use super::world::{SPOKEN, open};

/// What a text is taken for in every dialect, streamed and not: task, difficulty, confidence.
async fn taken_for(stage: &Stage, text: &str) -> Result<Vec<(String, String)>> {
    let asked = SPOKEN.into_iter().flat_map(|spoken| [(spoken, false), (spoken, true)]);
    let each = asked.map(|((name, dialect), stream)| async move {
        let ask = Ask::of(dialect, "sim/chat", text).streamed(stream);
        let said = ask.say(&stage.caller).await?.expect_answer()?;
        let told = said.answered.header("x-turnpike-task").to_owned();
        let explanation = stage.explanation(ORG, said.id()).await?;
        let task = explanation["task"].as_object().context("a task")?;
        assert_eq!(task.get("task").and_then(|task| task.as_str()), Some(told.as_str()));
        let figures = ["task", "difficulty", "confidence", "needs", "decided_by"];
        let figures: Vec<String> =
            figures.iter().map(|name| format!("{name}: {:?}", task.get(*name))).collect();
        Ok::<_, anyhow::Error>((format!("{name}, streamed: {stream}"), figures.join(", ")))
    });
    try_join_all(each).await
}

#[tokio::test]
async fn pitfall_64_the_same_words_are_the_same_task_in_every_dialect() -> Result<()> {
    let stage = open().await?;
    let mut tasks = std::collections::BTreeSet::new();
    for text in TEXTS {
        let taken = taken_for(&stage, text).await?;
        let (_, first) = taken.first().context("an answer")?;
        for (at, task) in &taken {
            assert_eq!(task, first, "{at}: {text}");
        }
        tasks.insert(first.split(',').next().unwrap_or_default().to_owned());
    }
    assert!(tasks.len() >= 6, "the texts are of many kinds: {tasks:?}");
    Ok(())
}
