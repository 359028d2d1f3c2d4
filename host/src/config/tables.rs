//! That there is a table wherever the configuration has one. Its reader takes an array as well, the
//! values by the order of the fields, which is written down nowhere and changes with the program.

use toml::{Table, Value};

/// Whether every section, provider and registry is a table, and so is what they have in tables.
///
/// # Errors
/// Which is none.
pub(super) fn check(whole: &Table) -> Result<(), String> {
    for (name, value) in whole {
        let section = table(name, value)?;
        match name.as_str() {
            "registries" => {
                for (host, value) in section {
                    table(&format!("registries.{host}"), value)?;
                }
            }
            "providers" => {
                for (id, value) in section {
                    provider(&format!("providers.{id}"), value)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn provider(place: &str, value: &Value) -> Result<(), String> {
    for (name, value) in table(place, value)? {
        let place = format!("{place}.{name}");
        match name.as_str() {
            "aws" | "google" => {
                table(&place, value)?;
            }
            "credentials" | "offers" | "overrides" => {
                for (at, value) in value.as_array().into_iter().flatten().enumerate() {
                    table(&format!("{place}.{at}"), value)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn table<'a>(place: &str, value: &'a Value) -> Result<&'a Table, String> {
    let kind = value.type_str();
    let wrong = || format!("{place}: it is a table of named fields; the type there is {kind}");
    value.as_table().ok_or_else(wrong)
}
