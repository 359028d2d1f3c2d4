//! No input makes a reader or a writer of any dialect panic: random bytes, and real bodies of each
//! with bytes changed, cut off or put in. The properties are those of the fuzz targets.

use proptest::prelude::*;

use crate::properties::everything;

const SEEDS: [&str; 24] = [
    include_str!("../golden/openai-chat/agent.json"),
    include_str!("../golden/openai_chat/request.json"),
    include_str!("../golden/openai_chat/reply.json"),
    include_str!("../golden/openai_chat/thinking.sse"),
    include_str!("../golden/openai_chat/odd_tools.sse"),
    include_str!("../golden/openai-responses/agent.json"),
    include_str!("../golden/openai-responses/mixed.json"),
    include_str!("../golden/openai-responses/reply.json"),
    include_str!("../golden/openai-responses/stream.sse"),
    include_str!("../golden/openai-responses/failed.sse"),
    include_str!("../golden/anthropic-messages/agent.json"),
    include_str!("../golden/anthropic-messages/features.json"),
    include_str!("../golden/anthropic-messages/search.json"),
    include_str!("../golden/anthropic-messages/search.sse"),
    include_str!("../golden/anthropic-messages/thinking-tools.sse"),
    include_str!("../golden/gemini/agent.json"),
    include_str!("../golden/gemini/reply.json"),
    include_str!("../golden/gemini/stream.sse"),
    include_str!("../golden/gemini/grounded.sse"),
    include_str!("../golden/gemini/blocked.json"),
    include_str!("../golden/hidden/openai-chat.json"),
    include_str!("../golden/hidden/openai-responses.json"),
    include_str!("../golden/hidden/anthropic-messages.json"),
    include_str!("../golden/hidden/gemini.json"),
];
/// What damage is made of, beside single bytes.
const PIECES: [&str; 8] = ["null", "\"\"", "{}", "[]", "7", ",", "\"\\ud800\"", "\n\n"];

#[test]
fn bodies_of_each_dialect_pass_every_reader() {
    for seed in SEEDS {
        everything(seed.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        everything(&bytes);
    }

    #[test]
    fn damaged_bodies_never_panic(
        seed in 0..SEEDS.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        piece in prop::option::of((any::<prop::sample::Index>(), 0..PIECES.len())),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = SEEDS[seed].as_bytes().to_vec();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some((place, piece)) = piece {
            let place = place.index(bytes.len());
            bytes.splice(place..place, PIECES[piece].bytes());
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        everything(&bytes);
    }
}
