//! Each way in which a request can end, shown for every dialect that a caller speaks, with a
//! provider of each dialect behind it: what the caller hears, what it pays to the pico-dollar, what
//! the journal has of it. The rows are those of `docs/money.md`, and a test compares the two.

mod bounds;
mod complete;
mod document;
mod dying;
mod embeddings;
mod failing;
mod games;
mod hedging;
mod journal;
mod leaving;
mod loopholes;
mod policies;
mod refused;
mod stopping;
mod till;

/// One test of a row: who asks, streamed or not.
macro_rules! tests {
    ($play:path; $($name:ident = $dialect:ident, $stream:literal;)*) => {
        $(
            #[tokio::test]
            async fn $name() -> anyhow::Result<()> {
                let dialect = turnpike_simulate::Dialect::$dialect;
                $play(super::till::Asked { dialect, stream: $stream }).await
            }
        )*
    };
}

/// The tests of a row: those of every dialect, whole and streamed where both can be.
macro_rules! dialects {
    ($play:path, both) => {
        dialects!($play, whole);
        dialects!($play, streamed);
    };
    ($play:path, whole) => {
        tests! { $play;
            openai_chat_whole = OpenAiChat, false;
            openai_responses_whole = OpenAiResponses, false;
            anthropic_messages_whole = AnthropicMessages, false;
            gemini_whole = Gemini, false;
        }
    };
    ($play:path, streamed) => {
        tests! { $play;
            openai_chat_streamed = OpenAiChat, true;
            openai_responses_streamed = OpenAiResponses, true;
            anthropic_messages_streamed = AnthropicMessages, true;
            gemini_streamed = Gemini, true;
        }
    };
    ($play:path, embeddings) => {
        tests! { $play; openai_embeddings_whole = OpenAiChat, false; }
    };
}

/// The rows, each a module of tests, and the list of their names.
macro_rules! rows {
    ($($row:ident: $how:ident, $room:ident::$play:ident;)*) => {
        $( mod $row { dialects!(super::$room::$play, $how); } )*
        /// Every row that has tests.
        const ROWS: &[&str] = &[$(stringify!($row)),*];
    };
}

rows! {
    complete_with_usage: both, complete::with_usage;
    complete_without_usage: both, complete::without_usage;
    empty_answer: both, complete::empty;
    refused_by_the_model: both, complete::refused_by_the_model;
    caller_leaves_before_content: both, leaving::before_content;
    caller_leaves_after_content: streamed, leaving::after_content;
    caller_leaves_and_nothing_tells_the_usage: streamed, leaving::without_usage;
    caller_leaves_and_the_provider_dies: streamed, leaving::provider_dies;
    money_runs_out_in_a_stream: streamed, bounds::money_runs_out;
    provider_dies_after_content: streamed, dying::free;
    provider_dies_after_content_billed: streamed, dying::billed;
    provider_reports_an_error_after_content: streamed, dying::error_event;
    policy_blocks_after_content: streamed, policies::blocks_after_content;
    policy_blocks_before_content: streamed, policies::blocks_before_content;
    policy_keeps_an_answer_back: whole, policies::keeps_back;
    fallback_after_an_error: both, failing::error;
    fallback_after_a_time_out: both, failing::time_out;
    fallback_after_a_rate_limit: both, failing::rate_limit;
    hedge_loser: streamed, hedging::loser;
    nobody_answers: both, failing::nobody;
    refused_by_policy: both, refused::by_policy;
    refused_by_model: both, refused::by_model;
    refused_for_money: both, refused::for_money;
    refused_by_rate_limit: both, refused::by_rate_limit;
    refused_by_validation: both, refused::by_validation;
    refused_by_the_provider: both, refused::by_the_provider;
    gateway_dies: both, stopping::dies;
    gateway_stops_in_a_stream: streamed, stopping::stops;
    caller_leaves_past_the_bounds: streamed, bounds::read_on_ends;
    provider_refuses_after_content: streamed, dying::refused;
    embeddings_complete: embeddings, embeddings::complete;
    embeddings_without_usage: embeddings, embeddings::without_usage;
    embeddings_caller_leaves: embeddings, embeddings::caller_leaves;
    embeddings_nobody_answers: embeddings, embeddings::nobody;
    embeddings_refused: embeddings, embeddings::refused;
}
