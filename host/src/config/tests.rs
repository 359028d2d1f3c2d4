use super::*;

fn parse(text: &str, vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let vars = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Config::parse("turnpike.toml", text, vars)
}

#[test]
fn an_unknown_field_is_refused_with_its_line_and_name() {
    let error = parse("[listen]\nadress = \"127.0.0.1:1\"\n", &[]).unwrap_err().to_string();
    assert!(error.contains("turnpike.toml"), "{error}");
    assert!(error.contains("line 2") && error.contains("adress"), "{error}");
    assert!(error.contains("`data`"), "the fields there are should be listed: {error}");
}

#[test]
fn the_environment_wins_over_the_file() {
    let config = parse(
        "[listen]\ndata = \"127.0.0.1:1\"\n[providers.openai]\nbase_url = \"https://a/v1\"\n",
        &[
            ("TURNPIKE__LISTEN__DATA", "127.0.0.1:2"),
            ("TURNPIKE__ROUTING__ATTEMPTS", "5"),
            ("TURNPIKE__PROVIDERS__OPENAI__BASE_URL", "https://b/v1"),
        ],
    )
    .unwrap();
    assert_eq!(config.listen.data.port(), 2);
    assert_eq!(config.routing.attempts, 5);
    assert_eq!(config.providers["openai"].base_url.as_deref(), Some("https://b/v1"));
}

#[test]
fn a_wrong_overlay_is_named() {
    let error = parse("", &[("TURNPIKE__LISTEN__PORT", "1")]).unwrap_err().to_string();
    assert!(error.contains("environment") && error.contains("port"), "{error}");
}

#[test]
fn a_literal_secret_is_not_shown_by_debug() {
    let config =
        parse("[providers.x]\nbase_url = \"https://a/v1\"\napi_key = \"sk-canary\"\n", &[])
            .unwrap();
    assert!(!format!("{config:?}").contains("canary"));
}

#[test]
fn a_missing_secret_names_the_variable_and_what_to_do() {
    let error = SecretRef::from_env("TURNPIKE_TEST_UNSET_VARIABLE").resolve("admin.token");
    let text = error.unwrap_err().to_string();
    assert!(text.contains("TURNPIKE_TEST_UNSET_VARIABLE") && text.contains("file:PATH"), "{text}");
}

#[test]
fn two_listeners_of_one_address_are_told_before_the_system_says_that_it_is_taken() {
    let both = |data: &str, admin: &str| {
        parse(&format!("[listen]\ndata = \"{data}\"\nadmin = \"{admin}\"\n"), &[])
    };
    let same = both("127.0.0.1:18090", "127.0.0.1:18090").unwrap_err().to_string();
    for said in ["listen.data and listen.admin", "the same address", "127.0.0.1:18090"] {
        assert!(same.contains(said), "{said}: {same}");
    }
    for (data, admin) in [("0.0.0.0:9", "127.0.0.1:9"), ("[::1]:9", "[::]:9")] {
        let error = both(data, admin).unwrap_err().to_string();
        assert!(error.contains("the same port"), "{error}");
    }
    for (data, admin) in [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1:9", "127.0.0.1:10"),
        ("127.0.0.1:9", "127.0.0.2:9"),
        ("127.0.0.1:9", "[::]:9"),
    ] {
        assert!(both(data, admin).is_ok(), "{data} {admin}");
    }
}

#[test]
fn what_is_no_address_to_listen_on_is_told_with_one_that_is() {
    for wrong in ["localhost:18090", ":18090", "127.0.0.1", "18090"] {
        let error = parse("", &[("TURNPIKE__LISTEN__DATA", wrong)]).unwrap_err().to_string();
        for said in ["listen.data", "127.0.0.1:8080", wrong] {
            assert!(error.contains(said), "{said}: {error}");
        }
    }
}
