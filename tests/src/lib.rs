//! The test harness: the real gateway as a process, simulated providers beside it, and the verbs
//! that a caller and an operator have. Tests say what happens; everything that it takes to get
//! there is here. Never used by the product.

mod binary;
mod compiled;
mod gateway;
mod money;
mod policies;
mod receiver;
mod recorder;
mod scripts;
mod stage;
mod stream;
mod verbs;

pub use binary::{gateway_binary, repository, target_folder};
pub use gateway::Gateway;
pub use money::{Price, list_price, pico};
pub use policies::{
    answering_policy, asking_policy, bad_policy, built_policy, component_bomb, granted_policy,
    hostile_policies, hostile_policy,
};
pub use receiver::Receiver;
pub use recorder::{Recorded, Recorder};
pub use scripts::{PROVIDERS, instant_script};
pub use stage::{ADMIN_TOKEN, ORG, Setup, Stage, one_model_each};
pub use stream::Streamed;
pub use verbs::{Answered, Balance, Caller, chat};
