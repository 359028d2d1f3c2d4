//! The shape of a text, from one look at each character: how much of it is code, speech, a list, a
//! table, options to choose from or mathematics. Numbers in a few steps each; never a decision.

/// Of a line that is under way.
#[derive(Debug, Default)]
struct Line {
    /// Characters so far, and how many of them are blanks in front.
    length: u32,
    indent: u32,
    /// The first two characters after the blanks, and the last one that is none.
    first: u32,
    second: u32,
    last: u32,
    commas: u32,
    bars: u32,
    /// A colon stands within the first characters, after a capital.
    speaker: bool,
}

/// Counts over a text.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    line: Line,
    length: u32,
    lines: u32,
    code_lines: u32,
    speakers: u32,
    options: u32,
    items: u32,
    rows: u32,
    digits: u32,
    mathematics: u32,
    brackets: u32,
    backticks: u32,
    dollars: u32,
    backslashes: u32,
    questions: u32,
    quotes: u32,
    /// The text's last character that is no blank.
    last: u32,
}

/// A name in front of a colon is no longer than this.
const SPEAKER_CHARACTERS: u32 = 40;
/// A row of a table has so many commas or bars.
const ROW_MARKS: u32 = 2;

impl Shape {
    /// How many values there are.
    pub(crate) const VALUES: usize = 19;
    /// Those of [`Shape::values`] that say more together: length with how the text ends, with its
    /// digits and with its list items, digits with the end, options with questions, and code with
    /// lines.
    pub(crate) const TOGETHER: [(usize, usize); 6] =
        [(0, 18), (0, 9), (0, 7), (9, 18), (6, 17), (3, 1)];

    pub(crate) fn take(&mut self, code: u32) {
        self.length += 1;
        let line = &mut self.line;
        line.length += 1;
        match code {
            0x0A => return self.end_line(),
            0x20 | 0x09 | 0x0D | 0xA0 | 0x3000 => {
                if line.first == 0 {
                    line.indent += if code == 0x09 { 4 } else { 1 };
                }
                return;
            }
            0x30..=0x39 => self.digits += 1,
            0x41..=0x5A | 0x61..=0x7A => {}
            _ => mark(self, code),
        }
        let line = &mut self.line;
        if line.first == 0 {
            line.first = code;
        } else if line.second == 0 {
            line.second = code;
        }
        line.last = code;
        self.last = code;
    }

    /// Takes a run of letters and digits of ASCII, as [`Self::take`] would one by one. `digits`:
    /// how many of them are digits.
    pub(crate) fn run(&mut self, run: &[u8], digits: u32) {
        let Some(last) = run.last().copied().map(u32::from) else { return };
        let count = u32::try_from(run.len()).unwrap_or(u32::MAX);
        self.length += count;
        self.digits += digits;
        let line = &mut self.line;
        line.length += count;
        let mut codes = run.iter().copied().map(u32::from);
        if line.first == 0 {
            line.first = codes.next().unwrap_or(0);
        }
        if line.second == 0 {
            line.second = codes.next().unwrap_or(0);
        }
        line.last = last;
        self.last = last;
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if line.first == 0 {
            return;
        }
        self.lines += 1;
        let begins = character(line.first);
        let then = character(line.second);
        let closed = matches!(character(line.last), ';' | '{' | '}' | '>' | ')' | ':' | ']');
        let code = matches!(character(line.last), ';' | '{' | '}')
            || matches!((begins, then), ('/', '/' | '*') | ('#', '!' | 'i' | 'd'))
            || (begins == '<' && line.last == u32::from('>'))
            || (line.indent >= 2 && closed);
        self.code_lines += u32::from(code || (line.indent >= 4 && begins != '-'));
        self.speakers += u32::from(line.speaker && !code);
        let lettered = matches!(begins, 'A'..='J' | 'a'..='j') && matches!(then, '.' | ')');
        self.options +=
            u32::from(lettered || (begins == '(' && matches!(then, 'A'..='T' | 'a'..='j')));
        self.items += u32::from(
            (matches!(begins, '-' | '*' | '•') && !then.is_ascii_punctuation())
                || (begins.is_ascii_digit() && matches!(then, '.' | ')')),
        );
        self.rows += u32::from(line.commas > ROW_MARKS || line.bars >= ROW_MARKS);
    }

    /// Ends the text.
    pub(crate) fn end(&mut self) {
        self.end_line();
    }

    /// The counts, each in a few steps.
    pub(crate) fn values(&self, into: &mut [u32; Self::VALUES]) {
        let share =
            |count: u32, whole: u32, steps: u32| (count * steps).div_ceil(whole.max(1)).min(steps);
        *into = [
            bits(self.length, 11),
            bits(self.lines, 5),
            bits(self.code_lines, 4),
            share(self.code_lines, self.lines, 4),
            bits(self.speakers, 3),
            share(self.speakers, self.lines, 3),
            bits(self.options, 3),
            bits(self.items, 3),
            bits(self.rows, 3),
            bits(self.digits, 7),
            share(self.digits, self.length, 12),
            bits(self.mathematics, 6),
            share(self.mathematics, self.length, 16),
            bits(self.brackets, 5),
            bits(self.backticks / 3, 1),
            bits(self.dollars, 2),
            bits(self.backslashes, 2),
            bits(self.questions, 2),
            last(self.last) + 8 * bits(self.quotes, 2),
        ];
    }
}

fn mark(shape: &mut Shape, code: u32) {
    let line = &mut shape.line;
    match character(code) {
        '=' | '+' | '*' | '/' | '^' | '<' | '>' | '%' | '≤' | '≥' | '∑' | '√' | '∈' | '∫' | '×' =>
        {
            shape.mathematics += 1;
        }
        '{' | '}' | '[' | ']' | ';' => shape.brackets += 1,
        '`' => shape.backticks += 1,
        '$' => shape.dollars += 1,
        '\\' => shape.backslashes += 1,
        '?' | '？' | '؟' => shape.questions += 1,
        '"' | '“' | '「' | '«' => shape.quotes += 1,
        ',' => line.commas += 1,
        '|' => line.bars += 1,
        ':' if line.length <= SPEAKER_CHARACTERS => {
            line.speaker |= matches!(character(line.first), 'A'..='Z' | '[');
        }
        _ => {}
    }
}

fn last(code: u32) -> u32 {
    match character(code) {
        '?' | '？' | '؟' => 1,
        '.' | '。' => 2,
        ':' | '：' => 3,
        '!' | '！' => 4,
        ')' | ']' | '}' | ';' | '>' | '`' => 5,
        it if it.is_ascii_digit() => 6,
        _ => 0,
    }
}

fn character(code: u32) -> char {
    char::from_u32(code).unwrap_or('\0')
}

fn bits(number: u32, most: u32) -> u32 {
    (u32::BITS - number.leading_zeros()).min(most)
}
