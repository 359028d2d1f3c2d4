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

/// An array would be read by the order of the fields.
#[test]
fn a_section_is_a_table_wherever_it_comes_from() {
    let listen = "[\"127.0.0.1:1\", \"127.0.0.1:2\"]";
    for (text, vars, place) in [
        (format!("listen = {listen}\n"), vec![], "listen"),
        (String::new(), vec![("TURNPIKE__LISTEN", listen)], "listen"),
        ("[providers]\nx = [\"https://a/v1\", \"sk-canary\"]\n".to_owned(), vec![], "providers.x"),
        ("[registries]\n\"r.example\" = [\"user\"]\n".to_owned(), vec![], "registries.r.example"),
        ("[providers.x]\naws = [\"id\", \"key\"]\n".to_owned(), vec![], "providers.x.aws"),
        (
            "[providers.x]\ncredentials = [[\"sk-canary\", 2]]\n".to_owned(),
            vec![],
            "providers.x.credentials.0",
        ),
    ] {
        let error = parse(&text, &vars).unwrap_err().to_string();
        assert!(error.contains(&format!(": {place}: it is a table")), "{error}");
        assert!(error.contains("array") && !error.contains("canary"), "{error}");
    }
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

/// What it has to cover is worked out of several settings: the message has the number.
#[test]
fn a_hold_that_is_too_short_is_told_how_long_it_must_be() {
    let times = "first_byte_ms = 10000\nfirst_content_ms = 50000\nanswer_ms = 20000\n";
    for (attempts, least) in [(1, 60_000), (2, 180_000)] {
        let with = |hold_ms: u64| {
            let routing = format!("[routing]\nattempts = {attempts}\n");
            let money = format!("[money]\nhold_ms = {hold_ms}\n");
            parse(&format!("{routing}[timeouts]\n{times}{money}"), &[])
        };
        let error = with(least - 1).unwrap_err().to_string();
        assert!(error.contains("money.hold_ms") && error.contains(&least.to_string()), "{error}");
        with(least).unwrap();
    }
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
    for (data, admin) in [
        ("0.0.0.0:9", "127.0.0.1:9"),
        ("[::1]:9", "[::]:9"),
        ("127.0.0.1:9", "[::]:9"),
        ("[::]:9", "0.0.0.0:9"),
        ("[::ffff:127.0.0.1]:9", "127.0.0.1:9"),
    ] {
        let error = both(data, admin).unwrap_err().to_string();
        assert!(error.contains("the same port"), "{error}");
    }
    for (data, admin) in [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1:9", "127.0.0.1:10"),
        ("127.0.0.1:9", "127.0.0.2:9"),
        ("0.0.0.0:9", "[::1]:9"),
        ("127.0.0.1:9", "[::1]:9"),
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
