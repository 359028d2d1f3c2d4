//! Prices of what is not counted in tokens alone: images by size and quality, seconds of sound and
//! video, characters, rankings. From LiteLLM's public list to lines of our own, exact or left out.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::naming::identify;
use super::{Identity, UpdateError};
use crate::catalog::media::{self, MediaHeader, MediaLine, UnitPrice};
use crate::catalog::sha256_hex;

const SOURCE: &str = "LiteLLM (github.com/BerriAI/litellm)";
const LICENCE: &str = "MIT";
/// Digits after the point that a price of one unit may have.
const DECIMALS_MAX: usize = 12;

/// The source's names for sellers, and ours. Others are no providers of the catalogue.
const SELLERS: [(&str, &str); 12] = [
    ("azure", "azure"),
    ("bedrock", "amazon-bedrock"),
    ("cohere", "cohere"),
    ("dashscope", "alibaba"),
    ("gemini", "google"),
    ("groq", "groq"),
    ("minimax", "minimax"),
    ("mistral", "mistral"),
    ("openai", "openai"),
    ("together_ai", "togetherai"),
    ("vertex_ai", "google-vertex"),
    ("xai", "xai"),
];

/// Words in front of a model's name that say how good a picture is.
const QUALITIES: [&str; 5] = ["hd", "high", "low", "medium", "standard"];

/// Media prices, as text for the file and what was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaUpdate {
    pub text: String,
    pub sha256: String,
    pub models: usize,
    /// What a person should look at.
    pub notes: Vec<String>,
}

/// One entry of the source. Prices stay the text that it wrote.
struct Entry<'a> {
    seller: String,
    mode: String,
    rest: BTreeMap<String, &'a RawValue>,
}

/// Makes the media prices from LiteLLM's JSON.
///
/// # Errors
/// When the text is not that list.
pub fn from_litellm(json: &str) -> Result<MediaUpdate, UpdateError> {
    let entries: BTreeMap<String, &RawValue> =
        serde_json::from_str(json).map_err(UpdateError::Media)?;
    let (mut lines, mut notes) = (BTreeMap::<String, MediaLine>::new(), Vec::new());
    for (key, raw) in &entries {
        let entry = entry(raw).map_err(UpdateError::Media)?;
        let seller = SELLERS.iter().find(|(theirs, _)| *theirs == entry.seller);
        let kind = kind(&entry.mode);
        let (Some((theirs, ours)), Some(kind)) = (seller, kind) else { continue };
        let named = named(key, theirs);
        let Identity { vendor, model, .. } = identify(ours, &named.wire);
        let id = format!("{vendor}/{model}@{ours}");
        let mut prices = Vec::new();
        for (component, raw) in &entry.rest {
            match unit(component, kind, &named) {
                Some(unit) => match plain(raw.get()) {
                    Some(usd) if usd == "0" => {}
                    Some(usd) => prices.push(UnitPrice { usd, ..unit }),
                    None => notes.push(format!("{id}: {component} {} is not exact", raw.get())),
                },
                None => continue,
            }
        }
        let wire = named.wire;
        let line = lines.entry(id.clone()).or_insert_with(|| MediaLine {
            id,
            wire,
            kind: kind.to_owned(),
            prices: Vec::new(),
        });
        line.prices.append(&mut prices);
    }
    let mut lines: Vec<MediaLine> = lines.into_values().collect();
    for line in &mut lines {
        line.prices.sort();
        line.prices.dedup();
    }
    lines.retain(|line| !line.prices.is_empty());
    let header = MediaHeader::new(SOURCE, LICENCE, lines.len());
    let text = media::encode(&header, &lines).map_err(UpdateError::Write)?;
    Ok(MediaUpdate { sha256: sha256_hex(&text), models: lines.len(), text, notes })
}

fn entry(raw: &RawValue) -> Result<Entry<'_>, serde_json::Error> {
    let mut rest: BTreeMap<String, &RawValue> = serde_json::from_str(raw.get())?;
    let mut text = |name: &str| {
        let raw = rest.remove(name);
        raw.map_or(Ok(String::new()), |raw| serde_json::from_str(raw.get()))
    };
    let (seller, mode) = (text("litellm_provider")?, text("mode")?);
    Ok(Entry { seller, mode, rest })
}

/// What the model makes or does; embeddings, realtime and moderation are priced in tokens.
fn kind(mode: &str) -> Option<&'static str> {
    Some(match mode {
        "image_generation" | "image_edit" => "image",
        "video_generation" => "video",
        "audio_speech" => "speech",
        "audio_transcription" => "transcription",
        "rerank" => "rerank",
        _ => return None,
    })
}

/// A key of the source taken apart: `high/1024-x-1536/gpt-image-1`.
struct Named {
    wire: String,
    size: Option<String>,
    quality: Option<String>,
}

fn named(key: &str, seller: &str) -> Named {
    let mut named = Named { wire: String::new(), size: None, quality: None };
    let mut model: Vec<&str> = Vec::new();
    for part in key.split('/') {
        let size = part.replace("-x-", "x");
        let sized = size.split_once('x').is_some_and(|(width, height)| {
            !width.is_empty() && [width, height].concat().bytes().all(|b| b.is_ascii_digit())
        });
        if sized && model.is_empty() {
            named.size = Some(size);
        } else if (QUALITIES.contains(&part) || part.ends_with("-steps")) && model.is_empty() {
            named.quality = Some(part.to_owned());
        } else if part != seller || !model.is_empty() {
            model.push(part);
        }
    }
    named.wire = model.join("/");
    named
}

/// What one component charges for.
fn unit(component: &str, kind: &str, named: &Named) -> Option<UnitPrice> {
    let of = |unit: &str| UnitPrice {
        unit: unit.to_owned(),
        size: named.size.clone(),
        quality: named.quality.clone(),
        usd: String::new(),
    };
    let sized = |unit: &str, size: &str| UnitPrice { size: Some(size.to_owned()), ..of(unit) };
    let seconds = if kind == "video" { "video-second" } else { "audio-second" };
    Some(match component {
        "output_cost_per_image" => of("image"),
        // Where a size is named, the source puts the price of the picture that is made here.
        "input_cost_per_image" if kind == "image" => match named.size {
            Some(_) => of("image"),
            None => of("input-image"),
        },
        "input_cost_per_image" => of("input-image"),
        "output_cost_per_second" | "output_cost_per_video_per_second" => of(seconds),
        "input_cost_per_second" => of("audio-second"),
        "input_cost_per_character" => of("character"),
        "input_cost_per_query" => of("search"),
        "input_cost_per_token" => of("input"),
        "output_cost_per_token" => of("output"),
        "cache_read_input_token_cost" => of("cache-read"),
        "cache_read_input_image_token_cost" => of("cache-read-image"),
        "input_cost_per_audio_token" => of("input-audio"),
        "output_cost_per_audio_token" => of("output-audio"),
        "input_cost_per_image_token" => of("input-image-token"),
        "output_cost_per_image_token" => of("output-image"),
        other => match other.strip_prefix("output_cost_per_second_") {
            Some(resolution) => sized(seconds, resolution),
            None => sized("image", other.strip_prefix("output_cost_per_image_")?),
        },
    })
}

/// A number of the source as a plain decimal; `None` where it has more than twelve decimals.
fn plain(text: &str) -> Option<String> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: String = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let point = i64::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let zeros = |count: i64| "0".repeat(usize::try_from(count.clamp(0, 40)).unwrap_or(0));
    let padded = format!("{}{digits}{}", zeros(point.saturating_neg()), zeros(point));
    let at = usize::try_from(point.max(0)).ok()?;
    let (whole, fraction) = padded.split_at_checked(at)?;
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    if fraction.len() > DECIMALS_MAX {
        return None;
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_plain_decimals() {
        for (text, decimal) in [
            ("3e-07", Some("0.0000003")),
            ("0.042", Some("0.042")),
            ("1.87e-06", Some("0.00000187")),
            ("5.83333e-05", Some("0.0000583333")),
            ("0.0", Some("0")),
            ("0", Some("0")),
            ("12.50", Some("12.5")),
            ("1e2", Some("100")),
            ("0.0002833333333333333", None),
            ("-1", None),
            ("x", None),
        ] {
            assert_eq!(plain(text).as_deref(), decimal, "{text}");
        }
    }

    #[test]
    fn sizes_and_qualities_are_told_from_the_key() {
        let built = from_litellm(
            r#"{"high/1024-x-1536/gpt-image-1":{"litellm_provider":"openai",
                "mode":"image_generation","input_cost_per_image":0.25},
            "low/1024-x-1024/gpt-image-1":{"litellm_provider":"openai",
                "mode":"image_generation","input_cost_per_image":0.011},
            "gpt-image-1":{"litellm_provider":"openai","mode":"image_generation",
                "input_cost_per_token":5e-06,"output_cost_per_image_token":4e-05},
            "xai/grok-imagine-video":{"litellm_provider":"xai","mode":"video_generation",
                "output_cost_per_second":0.05,"output_cost_per_second_720p":0.07},
            "somebody/else":{"litellm_provider":"fal_ai","mode":"image_generation",
                "output_cost_per_image":1}}"#,
        )
        .unwrap();
        let lines: Vec<&str> = built.text.lines().collect();
        assert_eq!((built.models, lines.len()), (2, 3), "{}", built.text);
        for part in [
            r#"{"unit":"image","size":"1024x1536","quality":"high","usd":"0.25"}"#,
            r#"{"unit":"output-image","usd":"0.00004"}"#,
        ] {
            assert!(lines[1].contains(part), "{}", lines[1]);
        }
        assert!(lines[2].contains(r#"{"unit":"video-second","size":"720p","usd":"0.07"}"#));
        assert!(from_litellm("[]").is_err());
    }
}
