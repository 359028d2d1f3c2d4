//! The figures of a run, as a table for people and as JSON for the next run.

use serde::Serialize;

use crate::load::Slice;
use crate::process::Memory;

/// One target's figures in one case.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    pub(crate) target: String,
    /// CPU time of the proxy per call, median over slices. `None` without a proxy.
    pub(crate) cpu_us: Option<f64>,
    pub(crate) calls_per_second: f64,
    pub(crate) p50_us: u32,
    pub(crate) p99_us: u32,
    pub(crate) rss_mib: Option<f64>,
    pub(crate) peak_mib: Option<f64>,
}

/// One case: the floor and what is measured against it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) case: &'static str,
    pub(crate) title: &'static str,
    pub(crate) connections: usize,
    pub(crate) figures: Vec<Figures>,
    /// Median over pairs of neighbouring slices of the second's CPU per call by the first's.
    pub(crate) ratio: Option<f64>,
    /// The smallest and largest of them.
    pub(crate) ratio_range: Option<(f64, f64)>,
}

/// CPU per call of a slice in microseconds.
pub(crate) fn cpu_per_call(slice: &Slice) -> Option<f64> {
    let calls = u32::try_from(slice.calls).ok().filter(|calls| *calls > 0)?;
    Some(slice.cpu_us / f64::from(calls)).filter(|cpu| *cpu > 0.0)
}

/// The figures of one target from all its slices.
pub(crate) fn figures(target: &str, slices: &[Slice], memory: Option<Memory>) -> Figures {
    let cpu: Vec<f64> = slices.iter().filter_map(cpu_per_call).collect();
    let rates = slices.iter().filter_map(|slice| {
        u32::try_from(slice.calls).ok().map(|calls| f64::from(calls) / slice.seconds)
    });
    let mut latencies: Vec<u32> =
        slices.iter().flat_map(|slice| slice.latencies_us.iter().copied()).collect();
    latencies.sort_unstable();
    Figures {
        target: target.to_owned(),
        cpu_us: median(cpu),
        calls_per_second: median(rates.collect()).unwrap_or(0.0),
        p50_us: percentile(&latencies, 50),
        p99_us: percentile(&latencies, 99),
        rss_mib: memory.map(|memory| memory.now_mib),
        peak_mib: memory.map(|memory| memory.peak_mib),
    }
}

/// Ratios of neighbouring slices: median and range.
pub(crate) fn ratio(floor: &[Slice], measured: &[Slice]) -> Option<(f64, (f64, f64))> {
    let pairs = floor.iter().zip(measured);
    let ratios: Vec<f64> = pairs
        .filter_map(|(floor, measured)| Some(cpu_per_call(measured)? / cpu_per_call(floor)?))
        .collect();
    let least = ratios.iter().copied().reduce(f64::min)?;
    let most = ratios.iter().copied().reduce(f64::max)?;
    Some((median(ratios)?, (least, most)))
}

/// A table in Markdown.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| case | target | CPU µs a call | × nginx (range) | calls/s | p50 µs | p99 µs | RSS / peak MiB |\n\
         |---|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in rows {
        for (place, figures) in row.figures.iter().enumerate() {
            let ratio = match (place, row.ratio, row.ratio_range) {
                (0, Some(_), _) => "1".to_owned(),
                (1, Some(ratio), Some((least, most))) => {
                    format!("**{ratio:.2}** ({least:.2}–{most:.2})")
                }
                _ => String::new(),
            };
            let title = if place == 0 { row.title } else { "" };
            let cpu = figures.cpu_us.map_or(String::new(), |cpu| format!("{cpu:.1}"));
            let memory = match (figures.rss_mib, figures.peak_mib) {
                (Some(now), Some(peak)) => format!("{now:.0} / {peak:.0}"),
                _ => String::new(),
            };
            text.push_str(&format!(
                "| {title} | {} | {cpu} | {ratio} | {:.0} | {} | {} | {memory} |\n",
                figures.target, figures.calls_per_second, figures.p50_us, figures.p99_us,
            ));
        }
    }
    text
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *values.get((values.len() / 2).checked_sub(1)?)?;
    Some((lower + upper) / 2.0)
}

fn percentile(sorted: &[u32], percent: usize) -> u32 {
    let at = sorted.len().saturating_mul(percent) / 100;
    sorted.get(at).or(sorted.last()).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(calls: u64, cpu_us: f64, latencies_us: &[u32]) -> Slice {
        Slice { calls, seconds: 2.0, cpu_us, latencies_us: latencies_us.to_vec() }
    }

    #[test]
    fn the_ratio_is_the_median_of_neighbouring_pairs() {
        // The machine was slower in the second pair; the ratio within it still counts.
        let floor = [slice(100, 2_500.0, &[]), slice(100, 5_000.0, &[]), slice(100, 2_500.0, &[])];
        let ours = [slice(100, 5_000.0, &[]), slice(50, 7_500.0, &[]), slice(100, 50_000.0, &[])];
        let (median, range) = ratio(&floor, &ours).unwrap();
        assert!((median - 3.0).abs() < 1e-9);
        assert!((range.0 - 2.0).abs() < 1e-9 && (range.1 - 20.0).abs() < 1e-9);
        assert!(ratio(&floor, &[]).is_none());
        assert!(ratio(&[slice(100, 0.0, &[])], &ours).is_none(), "no CPU time is no floor");
    }

    #[test]
    fn percentiles_are_of_calls_and_not_of_slices() {
        let many: Vec<u32> = (1..=99).collect();
        let shown = figures("x", &[slice(99, 1.0, &many), slice(1, 1.0, &[10_000])], None);
        assert_eq!((shown.p50_us, shown.p99_us), (51, 10_000));
    }
}
