//! The policies that were asked, as each kind of records says them.

use std::sync::Arc;

use super::super::codec::{Codec, Step};
use super::super::explanation::{Failure, PolicyFact};
use super::super::wire::Broken;

/// The same few policies make the same few decisions: hook, name, version, digest and that of the
/// configuration are one word.
pub(super) fn brief<C: Codec>(c: &mut C, p: &mut PolicyFact) -> Step {
    policy_word(c, p, true)?;
    how(c, p)
}

/// The same before configurations were told apart.
pub(super) fn brief_without_config<C: Codec>(c: &mut C, p: &mut PolicyFact) -> Step {
    policy_word(c, p, false)?;
    how(c, p)
}

/// Whether it failed is the last bit of the time that it took.
fn how<C: Codec>(c: &mut C, p: &mut PolicyFact) -> Step {
    let mut number = (u64::from(p.micros) << 1) | u64::from(p.failure.is_some());
    c.number(&mut number)?;
    p.micros = u32::try_from(number >> 1).map_err(|_| Broken)?;
    if number & 1 == 0 {
        return Ok(());
    }
    let failure: &mut Failure = p.failure.get_or_insert_default();
    c.word(&mut failure.kind)?;
    c.phrase(&mut failure.detail)
}

/// Between the parts of what stands for a policy.
const PART: &str = "\u{1f}";

/// The same few policies make the same few decisions: hook, name, version and digest are one word.
pub(super) fn short<C: Codec>(c: &mut C, p: &mut PolicyFact) -> Step {
    policy_word(c, p, false)?;
    c.small(&mut p.micros)?;
    failure(c, p)
}

/// `whole`: with the digest of its configuration, if it has one.
fn policy_word<C: Codec>(c: &mut C, p: &mut PolicyFact, whole: bool) -> Step {
    let mut parts = vec![&*p.hook, &*p.policy, &*p.version, &*p.digest];
    parts.extend(p.config.as_deref().filter(|_| whole));
    // Something that has the separator in it is written in words of its own, after an empty one.
    let apart = parts.iter().any(|part| part.contains(PART));
    let mut word: Arc<str> = if apart { Arc::default() } else { parts.join(PART).into() };
    let before = Arc::clone(&word);
    c.word(&mut word)?;
    if word.is_empty() {
        c.word(&mut p.hook)?;
        c.word(&mut p.policy)?;
        c.word(&mut p.version)?;
        c.word(&mut p.digest)?;
        if whole {
            c.maybe_word(&mut p.config)?;
        }
    } else if word != before {
        let mut parts = word.splitn(5, PART);
        let mut part = || parts.next().ok_or(Broken);
        p.hook = part()?.to_owned().into();
        p.policy = part()?.into();
        p.version = part()?.into();
        p.digest = part()?.into();
        p.config = parts.next().map(Into::into);
    }
    Ok(())
}

pub(super) fn long<C: Codec>(c: &mut C, p: &mut PolicyFact) -> Step {
    c.word(&mut p.hook)?;
    c.word(&mut p.policy)?;
    c.word(&mut p.version)?;
    c.word(&mut p.digest)?;
    c.small(&mut p.micros)?;
    failure(c, p)
}

fn failure<C: Codec>(c: &mut C, p: &mut PolicyFact) -> Step {
    c.option(&mut p.failure, |c, failure: &mut Failure| {
        c.word(&mut failure.kind)?;
        c.phrase(&mut failure.detail)
    })
}
