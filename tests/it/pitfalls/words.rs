//! Texts of every kind of task, for tests that ask the same in each dialect. Made up, in several
//! languages, from a word to a page.

/// One of each kind.
pub(super) const TEXTS: [&str; 20] = [
    "hi",
    "What is the capital of France?",
    "Translate into German: the meeting was moved to Thursday because the hall was flooded.",
    "Übersetze ins Englische: Der Zug hat heute wieder eine Stunde Verspätung.",
    "Summarise in two sentences: The council met on Monday. It spoke about the bridge, which \
     is closed since March, and about who is to pay for it. No decision was made.",
    "Write a poem about the sea in autumn, in four lines, without the word wave.",
    "Write a cover letter for a baker who wants to become a gardener.",
    "fn main() { let v: Vec<i32> = vec![1, 2, 3]; println!(\"{}\", v[3]); } // why does it panic?",
    "Refactor this Python function to run in linear time:\n```python\ndef f(a):\n    return [x \
     for x in a if a.count(x) == 1]\n```",
    "SELECT customer, SUM(total) FROM orders GROUP BY customer HAVING SUM(total) > 100; Explain \
     the plan and say which index helps.",
    "Extract all dates and amounts as JSON from: On 3 May we paid 120.50 EUR, on 9 June 80 EUR.",
    "Given monthly sales of 120, 135, 128, 160, 190, 170, what is the trend, and what would a \
     seasonal model say of the next quarter?",
    "Prove that the square root of two is irrational, then that the same holds for every prime.",
    "A farmer has 17 sheep and all but nine run away. How many are left? Explain step by step.",
    "Is this review positive or negative: the soup was cold but the waiter was charming.",
    "請用三句話解釋什麼是量子糾纏。",
    "Classify into billing, technical or other: I was charged twice for the same month.",
    "Plan a trip of five days to Lisbon for a family with two small children and a dog.",
    "What were the causes of the thirty years' war, and how do historians disagree about them?",
    "Review this contract clause for risks: The supplier may change prices at any time by notice, \
     and the customer waives every claim that arises from such a change, indirect damage included.",
];
