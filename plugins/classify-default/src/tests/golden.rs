//! The golden set: requests of many kinds and languages with the task that a person would name,
//! and orders of difficulty. One code path serves it, the training program and the gateway.

use super::{PYTHON, said};

/// Task, prompt. None is in the training data.
const TASKS: &[(&str, &str)] = &[
    ("chat", "Hello! How are you today?"),
    ("chat", "What's a good name day tradition in Poland?"),
    ("chat", "Why do my plants get yellow leaves in winter?"),
    ("chat", "My flatmate eats my food. How do I bring it up without a fight?"),
    ("chat", "Explain how tides work."),
    ("chat", "You are a grumpy innkeeper. Stay in character. What's on the menu tonight?"),
    ("chat", "Wer war der erste Mensch auf dem Mond?"),
    ("chat", "¿Qué diferencia hay entre un volcán y un géiser?"),
    ("chat", "Pourquoi les chats ronronnent-ils ?"),
    ("chat", "为什么海水是咸的？"),
    ("chat", "どうして空は青いの？"),
    ("code", "Write a Rust function that reverses a linked list."),
    ("code", "Write a Python function that merges two sorted lists."),
    ("code", "How do I squash my last three commits in git?"),
    ("code", "Build a login form in React with validation."),
    ("code", "My Postgres query got slow after an upgrade, the index is not used any more. Why?"),
    ("code", "Escribe una función en JavaScript que valide un correo electrónico."),
    ("code", "Schreib mir ein Bash-Skript, das alle PDFs in einem Ordner umbenennt."),
    ("code", "Écris une fonction Python qui calcule la médiane d'une liste."),
    ("code", "用Python写一个读取Excel文件的脚本。"),
    ("code", "JavaScriptで配列の重複を削除する関数を書いてください。"),
    ("writing", "Write a haiku about autumn leaves."),
    ("writing", "Write two sentences about tea."),
    ("writing", "Write three lines about our harvest festival for the shop window."),
    ("code", "Write a function that returns how many primes there are below n."),
    (
        "reasoning",
        "I keep five chairs, two stools and a bench in the shed. How many seats is that?",
    ),
    (
        "summarization",
        "What's the gist? The bridge stays closed until May. A bus replaces the tram, and \
                       shops ask for help because fewer people come.",
    ),
    ("writing", "Draft a polite email to my landlord about the broken radiator."),
    ("writing", "Rewrite this so that it sounds friendlier: Send me the file today."),
    ("writing", "Write a bedtime story about a hedgehog who cannot sleep."),
    ("writing", "Schreibe eine kurze Rede zum Abschied einer Kollegin."),
    ("writing", "Escribe un poema corto sobre la lluvia en Madrid."),
    ("writing", "Rédige une lettre de motivation pour un poste de comptable."),
    ("writing", "写一首关于冬天的诗。"),
    ("writing", "春についての短い物語を書いてください。"),
    ("translation", "Translate to French: The meeting is moved to Tuesday."),
    ("translation", "Translate this into German: the bill is due on Monday."),
    ("translation", "Übersetze ins Englische: Der Zug hat heute Verspätung."),
    ("translation", "Traduce al inglés: Mañana no hay clases."),
    ("translation", "Traduis en espagnol : Le magasin ferme à midi."),
    ("translation", "把这句话翻译成英文：今天的会议取消了。"),
    ("translation", "次の文を英語に翻訳してください：明日は休みです。"),
    ("summarization", "Please summarize the following meeting transcript in three sentences."),
    ("summarization", "Give me the key takeaways of this article."),
    (
        "summarization",
        "Fasse den folgenden Artikel in drei Sätzen zusammen: Die Stadt will bis 2030 alle \
                       Busse auf Strom umstellen. Der Rat stimmte am Montag zu.",
    ),
    (
        "summarization",
        "Résume ce texte en deux phrases : Le conseil a voté la rénovation du stade. Les \
                       travaux dureront deux ans.",
    ),
    ("extraction", "Extract all names and dates from the text below as JSON."),
    (
        "extraction",
        "Classify each of these tickets as bug, question or praise. Return JSON.\n1. It \
                    crashes on start\n2. Love it!",
    ),
    (
        "extraction",
        "Extrahiere alle Firmennamen aus dem Text als JSON-Liste: Am Montag trafen sich \
                    Vertreter von Nordwind AG und Seeblick GmbH in Kiel.",
    ),
    ("data-analysis", "I have a CSV file sales.csv. Compute the mean of the revenue column."),
    (
        "data-analysis",
        "Is there a significant correlation between price and rating in my dataset? \
                       Report the p-value.",
    ),
    (
        "reasoning",
        "Tom has 12 apples, gives a third to Ann and buys 5 more. How many does he have?",
    ),
    ("reasoning", "Prove that the product of two odd numbers is odd."),
    ("reasoning", "What is the probability of drawing two aces from a deck without replacement?"),
    ("reasoning", "Löse das Gleichungssystem x + y = 7, x - y = 1."),
    ("reasoning", "一个水池两小时注满，三小时放完，同时开需要多少小时？求解。"),
    ("reasoning", "Calcula la probabilidad de sacar tres caras seguidas con una moneda."),
];

#[test]
fn plain_requests_get_the_task_that_a_person_would_name() {
    let wrong: Vec<String> = TASKS
        .iter()
        .map(|(task, text)| (task, text, said(text)))
        .filter(|(task, _, found)| found.task != **task)
        .map(|(task, text, found)| {
            format!("{task}, not {} ({:.2}): {text}", found.task, found.confidence)
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pasted_code_and_logs_are_code() {
    let log =
        "2024-05-02 10:00:01 ERROR [http-3] java.lang.IllegalStateException: pool is closed\n\
               \tat com.acme.Pool.take(Pool.java:88)\n\tat com.acme.Main.run(Main.java:17)\n"
            .repeat(40);
    for text in
        [PYTHON, &log, &format!("{log}\nwhat is wrong here?"), &format!("fix this\n\n{PYTHON}")]
    {
        assert_eq!(said(text).task, "code", "{text:.60}");
    }
}

#[test]
fn the_instruction_counts_and_not_the_long_text_around_it() {
    let article =
        "The council met on Monday to talk about the harbour. Several speakers asked for \
                   cheaper tickets, others for more boats. A vote was put off until June. "
            .repeat(60);
    for (task, before, after) in [
        ("summarization", "Summarize this article in two sentences:\n\n", ""),
        ("summarization", "", "\n\nSummarize the text above."),
        ("translation", "Translate into Spanish:\n\n", ""),
        ("extraction", "Extract all dates and places from this text as JSON:\n\n", ""),
    ] {
        let found = said(&format!("{before}{article}{after}"));
        assert_eq!(found.task, task, "{before}…{after}");
    }
}

/// Each is less difficult than the next.
#[test]
fn difficulty_is_in_the_order_that_a_person_would_give() {
    let clause = "The supplier's liability under this contract is limited as follows. ";
    let contract =
        format!("Review the legal risks, step by step and in depth:\n{}", clause.repeat(3_000));
    let orders: &[&[&str]] = &[
        &["hi", "What is the capital of France?", "Explain how tides work.", contract.as_str()],
        &[
            "What is the capital of France?",
            "Write a short poem about the sea and a lighthouse, four lines.",
            "Design a distributed rate limiter. Discuss concurrency, edge cases and trade-offs in \
             depth.",
        ],
        &[
            "What is 2 + 2?",
            "A train leaves at 9 and travels 300 km at 80 km/h, then 100 km at half the speed. \
             When does it arrive if it stops twice for ten minutes?",
            "Let G be a finite group whose order is divisible by exactly two primes. Prove that G \
             is solvable, deriving every lemma about characters that the proof needs, rigorously.",
        ],
        &["thanks!", "Translate to French: good night", contract.as_str()],
    ];
    for order in orders {
        for pair in order.windows(2) {
            let [easy, hard] = pair else { continue };
            let (a, b) = (said(easy).difficulty, said(hard).difficulty);
            assert!(a + 0.03 < b, "{a:.2} {easy:.50} | {b:.2} {hard:.50}");
        }
    }
    assert!(said("hi").difficulty <= 0.06, "{}", said("hi").difficulty);
    assert!(said("What is the capital of France?").difficulty < 0.25);
    assert!(said(&contract).difficulty > 0.7, "{}", said(&contract).difficulty);
}
