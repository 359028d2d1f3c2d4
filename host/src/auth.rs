//! The auth room: who is calling. A key is 256 random bits that are stored only as a keyed hash;
//! a request is authenticated against a snapshot in memory, without a lock and without the disk.
//! Never logs a credential, never decides what a caller may spend (that is the ledger's), and
//! never passes a caller's credential on.

mod authenticate;
mod budget;
mod caller;
mod directory;
mod key;
mod models;
mod operator;
mod pepper;
mod plan;
mod seal;
mod spending;

pub use self::authenticate::{AuthError, authenticate, recognise};
pub use self::budget::{BudgetRef, Period, Setting, Window, window_of};
pub use self::caller::{Caller, Clearance};
pub use self::directory::{Directory, Found};
pub use self::key::{KEY_PREFIX, KeyText, SHOWN_CHARS};
pub use self::models::{ModelRules, PatternError};
pub use self::operator::OperatorToken;
pub use self::pepper::{FILE_NAME as PEPPER_FILE, KeyHash, Pepper, PepperError};
pub use self::plan::{Allowance, PlanTerms, Volume};
pub use self::spending::{CallerBudgets, OrgBudgets, Sometimes, Watched, period_of};
