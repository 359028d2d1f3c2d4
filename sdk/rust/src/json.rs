//! Reads a policy's configuration: a small JSON reader without dependencies, because a general
//! one would be most of a policy's size. It reads; it never writes.

/// Arrays and objects inside one another; a configuration has no use for more, and the reader
/// recurses once per level.
const MAX_DEPTH: u32 = 32;

/// A JSON value. Objects keep the order of their members; of equal names the first is found.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses one JSON document.
    ///
    /// # Errors
    /// What was expected, and the byte offset where it was not found.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        reader.blank();
        if reader.at == text.len() { Ok(value) } else { Err(reader.expected("the end")) }
    }

    /// The member `name` of an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, it)| it),
            _ => None,
        }
    }

    /// The members of an object; empty for anything else.
    #[must_use]
    pub fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Object(members) => members,
            _ => &[],
        }
    }

    /// The elements of an array; empty for anything else.
    #[must_use]
    pub fn elements(&self) -> &[Self] {
        match self {
            Self::Array(elements) => elements,
            _ => &[],
        }
    }

    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(*flag),
            _ => None,
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn expected(&self, what: &str) -> String {
        format!("the configuration is not JSON: expected {what} at byte {}", self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, String> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: u32) -> Result<Json, String> {
        if depth > MAX_DEPTH {
            return Err(format!("the configuration is nested deeper than {MAX_DEPTH} levels"));
        }
        self.blank();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Json::String),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: u32) -> Result<Json, String> {
        let mut members = Vec::new();
        self.at += 1;
        self.blank();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.blank();
            if self.peek() != Some(b'"') {
                return Err(self.expected("a member's name"));
            }
            let name = self.string()?;
            self.blank();
            if !self.take(b':') {
                return Err(self.expected("':'"));
            }
            members.push((name, self.value(depth + 1)?));
            self.blank();
            if self.take(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.take(b',') {
                return Err(self.expected("',' or '}'"));
            }
        }
    }

    fn array(&mut self, depth: u32) -> Result<Json, String> {
        let mut elements = Vec::new();
        self.at += 1;
        self.blank();
        if self.take(b']') {
            return Ok(Json::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            self.blank();
            if self.take(b']') {
                return Ok(Json::Array(elements));
            }
            if !self.take(b',') {
                return Err(self.expected("',' or ']'"));
            }
        }
    }

    fn number(&mut self) -> Result<Json, String> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte))
            .count();
        let digits = rest.get(..length).unwrap_or_default();
        let starts =
            digits.trim_start_matches('-').starts_with(|first: char| first.is_ascii_digit());
        match digits.parse::<f64>() {
            Ok(number) if starts && number.is_finite() => {
                self.at += length;
                Ok(Json::Number(number))
            }
            _ => Err(self.expected("a value")),
        }
    }

    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain =
                rest.bytes().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=31)).count();
            out.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    out.push(self.escape()?);
                }
                _ => return Err(self.expected("the end of a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        let kind = self.peek();
        self.at += 1;
        match kind {
            Some(b'n') => Ok('\n'),
            Some(b't') => Ok('\t'),
            Some(b'r') => Ok('\r'),
            Some(b'b') => Ok('\u{8}'),
            Some(b'f') => Ok('\u{c}'),
            Some(plain @ (b'"' | b'\\' | b'/')) => Ok(char::from(plain)),
            Some(b'u') => self.unicode(),
            _ => Err(self.expected("an escape")),
        }
    }

    fn unicode(&mut self) -> Result<char, String> {
        let first = self.hex4()?;
        let code = if (0xD800..0xDC00).contains(&first) {
            if !(self.take(b'\\') && self.take(b'u')) {
                return Err(self.expected("the second half of a surrogate pair"));
            }
            let second = self.hex4()?;
            0x10000 + ((first - 0xD800) << 10) + second.wrapping_sub(0xDC00) % 0x400
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.expected("a character"))
    }

    fn hex4(&mut self) -> Result<u32, String> {
        let digits = self.text.get(self.at..self.at + 4).unwrap_or("?");
        let code = u32::from_str_radix(digits, 16).map_err(|_| self.expected("four hex digits"))?;
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::Json;

    #[test]
    fn reads_every_kind_of_value() {
        let json = Json::parse(
            r#" {"a": [1, -2.5e1, true, null], "b": {"c": "x\n\"\u00e9\ud83d\ude00"}, "d": ""} "#,
        )
        .unwrap();
        let numbers: Vec<_> = json.get("a").unwrap().elements().iter().map(Json::as_f64).collect();
        assert_eq!(numbers, [Some(1.0), Some(-25.0), None, None]);
        let text = json.get("b").and_then(|b| b.get("c")).and_then(Json::as_str);
        assert_eq!(text, Some("x\n\"é😀"));
        assert_eq!(json.get("d").and_then(Json::as_str), Some(""));
        assert_eq!(json.members().len(), 3);
    }

    #[test]
    fn refuses_what_is_not_json_and_says_where() {
        for (text, at) in [("{", 1), ("[1,]", 3), ("{\"a\" 1}", 5), ("1 2", 2), ("\"a", 2)] {
            let error = Json::parse(text).unwrap_err();
            assert!(error.ends_with(&format!("at byte {at}")), "{text}: {error}");
        }
    }

    #[test]
    fn a_nest_without_end_is_refused_before_the_stack_is() {
        assert!(Json::parse(&"[".repeat(100_000)).unwrap_err().contains("nested"));
    }
}
