//! The estimate that holds are made from against real counts: OpenAI's own vocabularies, on texts
//! of many scripts and kinds, written for this test but for sentences of the Universal Declaration
//! of Human Rights. Says nothing of vocabularies that are not public.

#![allow(clippy::unwrap_used, reason = "every function here is a test's")]

use bpe_openai::{cl100k_base, o200k_base};
use bytes::Bytes;
use serde_json::json;
use turnpike_protocol::{Call, Dialect};
use turnpike_tokenizer::Vocabulary;

/// Parts of a hundred of the real count that the estimate must reach.
const REACHED: usize = 98;
/// What OpenAI adds around one message and in front of the answer.
const AROUND: usize = 7;

/// Kinds of text that prompts are made of, each with a name; repeated, so that constants for a
/// message hide nothing.
const TEXTS: &[(&str, &str)] = &[
    (
        "English",
        "Could you summarise yesterday's meeting, please? Anna said that the report is \
        late because two of the suppliers never answered; I'd rather call them than write again. ",
    ),
    ("German", "Die Straßenbahnhaltestelle lag hinter dem Grundstücksverkehrsgenehmigungsamt. "),
    (
        "code",
        "fn main() {\n    let xs: Vec<u32> = (0..10).map(|x| x * x).collect();\n    \
        assert_eq!(xs[3], 9, \"{xs:?}\");\n}\n",
    ),
    ("Python", "def f(a, b=None):\n\treturn [i for i in a if i not in (b or [])]\n\n\n"),
    ("JSON", "{\"id\":\"7f3a\",\"list\":[1,2,3.25,null,true],\"nested\":{\"a\":{\"b\":\"c\"}}}\n"),
    ("HTML", "<div class=\"row\"><a href=\"/p?id=4&amp;x=1\">Go</a></div>\n"),
    ("SQL", "SELECT u.id, COUNT(*) FROM users u JOIN orders o ON o.uid=u.id GROUP BY 1;\n"),
    (
        "Chinese",
        "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    ),
    (
        "Japanese",
        "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    ),
    ("Korean", "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. "),
    ("Arabic", "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. "),
    ("Hebrew", "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. "),
    (
        "Hindi",
        "सभी मनुष्यों को गौरव और अधिकारों के मामले में \
        जन्मजात स्वतन्त्रता और समानता प्राप्त है। ",
    ),
    ("Thai", "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ "),
    ("Greek", "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια. "),
    ("Russian", "Все люди рождаются свободными и равными в своём достоинстве и правах. "),
    ("Amharic", "የሰው ልጅ ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው። "),
    ("emoji", "😀🧑‍🚀🏳️‍🌈🎉🔥👍🏽"),
    ("base64", "Zm9vYmFyIEx0aG9sb3JlbSBpcHN1bSB4UTlrMnZQNzh0QmdLcE13RHNVcQ=="),
    ("hex", "7f3a9c0e5b1d4826f0c9e7a35d1b8642"),
    ("UUID", "f47ac10b-58cc-4372-a567-0e02b2c3d479 "),
    ("digits", "8273640192837465501928374655647382910"),
    ("numbers", "3.14159, -2.71828e-10; 1,024 x 768 = 786,432\n"),
    ("blanks", "                                        x"),
    ("tabs and lines", "\n\n\n\t\t\t\t\n \n  \n   y"),
    ("signs", "!@#$%^&*()_+-=[]{}|;':\",./<>?~`"),
    ("escapes", "\\n\\t\\\"\\u00e9\\\\ \u{1}\u{2}\u{7f}"),
    ("maths", "∀ε>0 ∃δ>0: |x−a|<δ ⇒ |f(x)−f(a)|<ε; ∑ᵢ₌₁ⁿ i² ≈ n³/3 "),
    ("boxes", "┌──┬──┐│ a│ b│└──┴──┘████▓▓▒░"),
    (
        "log",
        "2026-11-22T18:30:01.123Z WARN [worker-3] 10.0.0.7:51234 GET /v1/x?q=%7B%22 502 17ms\n",
    ),
    (
        "base64 in prose",
        "The file is aGVsbG8gd29ybGQhIFRoaXMgaXMgYSBwaWN0dXJlIG9mIGEgY2F0IGFu\
        ZCBhIGRvZy4KUVdFUlRZMTIzNDU2Nzg5MA== and the key is AKq9ZxT0mPw7LrBvE3nYsUdHcJf5GiK2oX\
        aC8tWzQ1eR; send both. ",
    ),
    (
        "hashes in prose",
        "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b of 2c26b46b68ffc68ff99\
        b453c1d30413413422d70 was reverted. ",
    ),
    (
        "a signed token",
        "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZ\
        SI6IkpvaG4ifQ.NHVaYe26MbtOYhSKkoKYdFVomg4i8ZJd8 ",
    ),
    ("capitals", "WARNING: DO NOT OPEN THE VALVE BEFORE MAX_PRESSURE_KPA HAS BEEN READ. "),
    ("a table", "| name | price | sold |\n|---|---:|---:|\n| tea | 3.20 | 1,204 |\n"),
    ("a diff", "@@ -1,4 +1,4 @@\n-    let total = sum(&rows);\n+    let total = sum(&rows)?;\n"),
    ("a path", "/usr/lib/python3/dist-packages/urllib3/util/retry.py:594: in increment\n"),
    ("Vietnamese", "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm. "),
    ("Polish", "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności. "),
    ("Turkish", "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. "),
];

/// How often each is repeated.
const TIMES: usize = 40;

fn call(text: &str) -> Call {
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": text }] });
    Call::parse(Dialect::OpenAiChat, Bytes::from(body.to_string())).unwrap()
}

fn estimated(text: &str) -> usize {
    usize::try_from(call(text).input_tokens_upper()).unwrap()
}

/// The larger count of the two vocabularies.
fn real(text: &str) -> usize {
    [o200k_base().count(text), cl100k_base().count(text)].into_iter().max().unwrap_or(0)
}

/// Why the estimate is too low, if it is.
fn short(name: &str, text: &str) -> Option<String> {
    let (estimated, real) = (estimated(text), real(text) + AROUND);
    (estimated * 100 < real * REACHED).then(|| format!("{name}: {estimated} of {real}"))
}

#[test]
fn a_hold_is_never_made_for_too_few_tokens_in_any_script() {
    let repeated = TEXTS.iter().map(|(name, text)| (name, text.repeat(TIMES)));
    let short: Vec<_> = repeated.filter_map(|(name, text)| short(name, &text)).collect();
    assert!(short.is_empty(), "{short:#?}");
    let mixed: String = TEXTS.iter().map(|(_, text)| *text).collect();
    assert_eq!(self::short("all of them", &mixed), None);
}

#[test]
fn an_estimate_is_not_far_above_either() {
    let mixed: String = TEXTS.iter().map(|(_, text)| *text).collect();
    let (estimated, real) = (estimated(&mixed), real(&mixed));
    assert!(estimated < 3 * real, "{estimated} of {real}");
}

#[test]
fn a_count_with_the_vocabulary_is_that_of_openai_and_below_the_estimate() {
    for (name, text) in TEXTS {
        let counted = call(text).input_tokens_by(|text| Vocabulary::O200k.count(text));
        let counted = usize::try_from(counted).unwrap();
        assert_eq!(counted, o200k_base().count(*text) + AROUND, "{name}");
        assert!(counted * REACHED <= estimated(text) * 100, "{name}");
    }
}

#[test]
fn descriptions_of_tools_are_counted() {
    let tool = json!({"type": "function", "function": {"name": "get_weather",
        "description": "Weather of a city", "parameters": {"type": "object",
        "properties": {"city": {"type": "string"}}, "required": ["city"]}}});
    let body = json!({"model": "m", "tools": [tool],
        "messages": [{"role": "user", "content": "hi"}]});
    let call = Call::parse(Dialect::OpenAiChat, Bytes::from(body.to_string())).unwrap();
    let counted = call.input_tokens_by(|text| Vocabulary::O200k.count(text));
    // OpenAI bills about forty tokens more for a function of this size.
    assert!((30..120).contains(&counted), "{counted}");
    assert!(counted <= call.input_tokens_upper());
}
