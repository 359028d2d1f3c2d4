//! A request's body, read within its bounds. Knows nothing of what is in it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use crate::error::Refusal;
use crate::tasks::within;

/// Between two reads of a body: bounds what a slow sender can hold.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// The whole of a body that comes in pieces. A slow line of 1 Mbit/s brings 75 MB in it.
const BODY_TIME_MAX: Duration = Duration::from_secs(600);
/// What is read and thrown away of a body that is too large: clients that are still sending when
/// the connection closes never read why. Past that the connection closes.
const DRAIN_BYTES_MAX: usize = 64 << 20;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);
/// Room made before the bytes are there: a caller may announce more than it ever sends.
const FIRST_ROOM_BYTES: usize = 1 << 20;

/// The whole body, at most `limit` bytes. `awaits` says that the caller sends nothing before it is
/// told to go on.
pub async fn read(mut body: Incoming, limit: usize, awaits: bool) -> Result<Bytes, Refusal> {
    let whole = read_within(&mut body, limit).await;
    if whole.as_ref().is_err_and(|refusal| refusal.status == StatusCode::PAYLOAD_TOO_LARGE) {
        drain(&mut body, awaits).await;
    }
    whole
}

/// Reads the rest for nobody, within bounds.
async fn drain(body: &mut Incoming, awaits: bool) {
    let announced = body.size_hint().lower();
    if awaits || announced > u64::try_from(DRAIN_BYTES_MAX).unwrap_or(u64::MAX) {
        return;
    }
    let rest = async {
        let mut read = 0_usize;
        while let Ok(Some(more)) = next(body).await {
            read = read.saturating_add(more.len());
            if read > DRAIN_BYTES_MAX {
                return;
            }
        }
    };
    // Whether all of it came does not matter: the answer is the same.
    within(DRAIN_TIME_MAX, rest).await.unwrap_or_default();
}

async fn read_within(body: &mut Incoming, limit: usize) -> Result<Bytes, Refusal> {
    let announced = body.size_hint().exact().and_then(|n| usize::try_from(n).ok());
    if announced.is_some_and(|n| n > limit) {
        return Err(Refusal::body_too_large(limit));
    }
    let Some(first) = next(body).await? else { return Ok(Bytes::new()) };
    // The usual request comes in one piece and is not copied.
    if announced == Some(first.len()) {
        return Ok(first);
    }
    let room = announced.unwrap_or(0).min(FIRST_ROOM_BYTES).max(first.len());
    let mut whole = BytesMut::with_capacity(room);
    append(&mut whole, &first, limit)?;
    let rest = async {
        while let Some(more) = next(body).await? {
            append(&mut whole, &more, limit)?;
        }
        Ok(())
    };
    within(BODY_TIME_MAX, rest).await.unwrap_or_else(|| Err(Refusal::body_cut_off()))?;
    Ok(whole.freeze())
}

fn append(whole: &mut BytesMut, more: &[u8], limit: usize) -> Result<(), Refusal> {
    if whole.len().saturating_add(more.len()) > limit {
        return Err(Refusal::body_too_large(limit));
    }
    whole.extend_from_slice(more);
    Ok(())
}

/// The next piece of data; trailers are passed over.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Refusal> {
    loop {
        match within(READ_TIMEOUT, body.frame()).await {
            Some(None) => return Ok(None),
            Some(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Some(Err(_))) | None => return Err(Refusal::body_cut_off()),
        }
    }
}
