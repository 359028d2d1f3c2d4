//! Models that make images, sound and video, or rank: what one unit costs, by size and quality. A
//! file of its own, for people and tools: the gateway serves none of them, so no request reads it.

use serde::{Deserialize, Serialize};

use crate::catalog::CatalogError;

/// The prices that this version ships.
const MEDIA: &str = include_str!("../../catalog/media.jsonl");
/// The form of the lines.
const FORM: u32 = 1;

/// The first line: where the facts come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaHeader {
    pub turnpike_media: u32,
    pub source: String,
    pub licence: String,
    pub models: usize,
}

/// One model of one seller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaLine {
    /// `vendor/model@provider`.
    pub id: String,
    /// The name on the wire.
    pub wire: String,
    /// image, video, speech, transcription or rerank.
    pub kind: String,
    pub prices: Vec<UnitPrice>,
}

/// What one unit costs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitPrice {
    /// An item of `bill.quantity`: image, audio-second, video-second, character, search, or a kind
    /// of token. `input-image`: a picture that is given; `input-image-token`: a token of one.
    pub unit: String,
    /// Of images in pixels, of video as lines: `1024x1536`, `720p`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// Exact decimal dollars for one.
    pub usd: String,
}

// === impl MediaHeader ===

impl MediaHeader {
    pub(super) fn new(source: &str, licence: &str, models: usize) -> Self {
        let (source, licence) = (source.to_owned(), licence.to_owned());
        Self { turnpike_media: FORM, source, licence, models }
    }
}

// === impl UnitPrice ===

impl std::fmt::Display for UnitPrice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.unit)?;
        for part in [&self.size, &self.quality].into_iter().flatten() {
            write!(f, " {part}")?;
        }
        write!(f, " {}", self.usd)
    }
}

/// The models that this version ships prices of.
///
/// # Errors
/// When the file that was built in is damaged.
pub fn embedded() -> Result<(MediaHeader, Vec<MediaLine>), CatalogError> {
    parse(MEDIA)
}

/// Reads a file of media prices.
///
/// # Errors
/// Names the line and what is wrong with it.
pub fn parse(text: &str) -> Result<(MediaHeader, Vec<MediaLine>), CatalogError> {
    let bad = |row: usize, reason: String| CatalogError::Line { line: row, reason };
    let mut rows = text.lines();
    let first = rows.next().unwrap_or_default();
    let header: MediaHeader = serde_json::from_str(first).map_err(|e| bad(1, e.to_string()))?;
    if header.turnpike_media != FORM {
        return Err(bad(1, format!("this version reads form {FORM} of media prices")));
    }
    let mut lines = Vec::with_capacity(header.models.min(text.len()));
    for (row, line) in rows.enumerate() {
        let row = row.saturating_add(2);
        lines.push(serde_json::from_str(line).map_err(|e| bad(row, e.to_string()))?);
    }
    if lines.len() != header.models {
        let reason = format!("{} models, but the header says {}", lines.len(), header.models);
        return Err(bad(1, reason));
    }
    Ok((header, lines))
}

/// Writes the canonical text: same lines, same bytes.
pub(super) fn encode(
    header: &MediaHeader,
    lines: &[MediaLine],
) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string(header)?;
    text.push('\n');
    for line in lines {
        text.push_str(&serde_json::to_string(line)?);
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_prices_are_those_that_were_checked() {
        let line = include_str!("../../catalog/media.jsonl.sha256");
        let checksum = crate::catalog::sha256_hex(MEDIA);
        assert_eq!(line.split_whitespace().next(), Some(checksum.as_str()));
        let (header, lines) = embedded().unwrap();
        assert_eq!(header.licence, "MIT");
        for kind in ["image", "video", "speech", "transcription", "rerank"] {
            assert!(lines.iter().any(|line| line.kind == kind), "{kind}");
        }
        let of = |id: &str| lines.iter().find(|line| line.id == id).unwrap();
        let shown = of("openai/gpt-image-1@openai").prices.iter().map(ToString::to_string);
        let shown: Vec<String> = shown.collect();
        assert!(shown.contains(&"image 1024x1024 medium 0.042".to_owned()), "{shown:?}");
        assert!(parse("{}").is_err());
        let (first, rest) = MEDIA.split_once('\n').unwrap();
        assert!(parse(&format!("{first}\n{}", rest.lines().next().unwrap())).is_err());
    }
}
