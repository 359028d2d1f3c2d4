//! The environment overlay: `TURNPIKE__SECTION__FIELD=value` replaces `section.field`. Values are
//! read as TOML where they parse as TOML, else as a string. Never reads the environment itself.

use super::ConfigError;

const PREFIX: &str = "TURNPIKE__";

pub(super) fn apply(
    table: &mut toml::Table,
    vars: impl Iterator<Item = (String, String)>,
) -> Result<(), ConfigError> {
    for (name, value) in vars {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let path: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
        if path.iter().any(String::is_empty) {
            return Err(ConfigError(format!(
                "environment variable {name}: write {PREFIX}SECTION__FIELD, with two underscores \
                 between the parts"
            )));
        }
        set(table, &path, parse_value(&value)).map_err(|at| {
            ConfigError(format!("environment variable {name}: {at} is a value, not a section"))
        })?;
    }
    Ok(())
}

fn parse_value(text: &str) -> toml::Value {
    let parsed: Result<toml::Table, _> = toml::from_str(&format!("v = {text}"));
    let value = parsed.ok().and_then(|mut table| table.remove("v"));
    value.unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

fn set(table: &mut toml::Table, path: &[String], value: toml::Value) -> Result<(), String> {
    let Some((last, sections)) = path.split_last() else { return Ok(()) };
    let mut at = table;
    for section in sections {
        let entry =
            at.entry(section.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        let toml::Value::Table(inner) = entry else { return Err(section.clone()) };
        at = inner;
    }
    at.insert(last.clone(), value);
    Ok(())
}
