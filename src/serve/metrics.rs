//! Counters and histograms in the text format of Prometheus.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>
//!
//! The labels have a bounded number of values, so nothing here grows with the number of requests.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper ends of the buckets of all histograms, in seconds.
const BUCKETS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Measurements of a server since its start.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    by_route: Mutex<BTreeMap<String, Route>>,
    /// Time of a job on a worker.
    pub(super) prediction: Histogram,
    /// Wait of a job for a worker.
    pub(super) queue: Histogram,
    /// Time from the arrival of audio to the event that it completes.
    pub(super) stream_delay: Histogram,
    /// Microseconds of audio in predicted recordings.
    pub(super) recordings: AtomicU64,
    /// Microseconds of audio in streams.
    pub(super) streamed: AtomicU64,
    /// Jobs that panicked.
    pub(super) panics: AtomicU64,
}

#[derive(Debug, Default)]
struct Route {
    by_status: BTreeMap<u16, u64>,
    seconds: Histogram,
}

/// A value that rises and falls.
pub(super) struct Gauge {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) value: u64,
}

impl Metrics {
    /// Counts an answer. `route` is one of the routes of the server, or `other`.
    pub(super) fn add_request(&self, route: &str, status: u16, duration: Duration) {
        let mut routes = self.routes();
        if !routes.contains_key(route) {
            routes.insert(route.to_string(), Route::default());
        }
        if let Some(route) = routes.get_mut(route) {
            *route.by_status.entry(status).or_default() += 1;
            route.seconds.add(duration);
        }
    }

    fn routes(&self) -> MutexGuard<'_, BTreeMap<String, Route>> {
        self.by_route.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The text for Prometheus, with the present values of the gauges.
    pub(super) fn text(&self, model: &str, gauges: &[Gauge]) -> String {
        let mut text = Text::default();
        text.head("emovox_info", "gauge", "Version and model of the server.");
        let version = env!("CARGO_PKG_VERSION");
        let model = model
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        text.line(
            "emovox_info",
            &format!("version=\"{version}\",model=\"{model}\""),
            1,
        );

        let routes = self.routes();
        text.head(
            "emovox_requests_total",
            "counter",
            "Answers by route and status.",
        );
        for (route, measured) in &*routes {
            for (status, count) in &measured.by_status {
                let labels = format!("route=\"{route}\",status=\"{status}\"");
                text.line("emovox_requests_total", &labels, count);
            }
        }
        let name = "emovox_request_seconds";
        text.head(
            name,
            "histogram",
            "Time from the header of a request to its answer.",
        );
        for (route, measured) in &*routes {
            text.histogram(name, &format!("route=\"{route}\""), &measured.seconds);
        }
        drop(routes);

        let histograms = [
            (
                "emovox_prediction_seconds",
                "Time of a job on a worker.",
                &self.prediction,
            ),
            (
                "emovox_queue_seconds",
                "Wait of a job for a worker.",
                &self.queue,
            ),
            (
                "emovox_stream_delay_seconds",
                "Time from the arrival of audio to the event that it completes.",
                &self.stream_delay,
            ),
        ];
        for (name, help, histogram) in histograms {
            text.head(name, "histogram", help);
            text.histogram(name, "", histogram);
        }
        let name = "emovox_audio_seconds_total";
        text.head(name, "counter", "Predicted audio.");
        for (source, microseconds) in [("predict", &self.recordings), ("stream", &self.streamed)] {
            let seconds = microseconds.load(Ordering::Relaxed) as f64 / 1e6;
            text.line(name, &format!("source=\"{source}\""), seconds);
        }
        let name = "emovox_panics_total";
        text.head(
            name,
            "counter",
            "Jobs that failed because of an error in the program.",
        );
        text.line(name, "", self.panics.load(Ordering::Relaxed));
        for Gauge { name, help, value } in gauges {
            text.head(name, "gauge", help);
            text.line(name, "", value);
        }
        text.0
    }
}

/// Durations in buckets.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// Number of durations in each bucket; the last one has no upper end.
    counts: [AtomicU64; BUCKETS.len() + 1],
    microseconds: AtomicU64,
}

impl Histogram {
    pub(super) fn add(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BUCKETS.partition_point(|&end| end < seconds);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let microseconds = duration.as_micros().try_into().unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = if labels.is_empty() {
            writeln!(self.0, "{name} {value}")
        } else {
            writeln!(self.0, "{name}{{{labels}}} {value}")
        };
    }

    fn histogram(&mut self, name: &str, labels: &str, histogram: &Histogram) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut total = 0;
        let ends = BUCKETS.iter().map(f64::to_string).chain(["+Inf".into()]);
        for (end, count) in ends.zip(&histogram.counts) {
            total += count.load(Ordering::Relaxed);
            let labels = format!("{labels}{comma}le=\"{end}\"");
            self.line(&format!("{name}_bucket"), &labels, total);
        }
        let seconds = histogram.microseconds.load(Ordering::Relaxed) as f64 / 1e6;
        self.line(&format!("{name}_sum"), labels, seconds);
        self.line(&format!("{name}_count"), labels, total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buckets_of_a_histogram_are_cumulative_and_include_their_end() {
        let metrics = Metrics::default();
        for milliseconds in [5, 6, 100, 60_000] {
            let duration = Duration::from_millis(milliseconds);
            metrics.add_request("/v1/predict", 200, duration);
        }
        let text = metrics.text("m", &[]);
        let value = |line: &str| {
            let found = text.lines().find_map(|found| found.strip_prefix(line));
            found
                .unwrap_or_else(|| panic!("{line} is missing in\n{text}"))
                .trim()
        };
        let bucket = |end: &str| {
            value(&format!(
                "emovox_request_seconds_bucket{{route=\"/v1/predict\",le=\"{end}\"}}"
            ))
        };
        assert_eq!(
            ["0.005", "0.01", "0.05", "0.1", "30", "+Inf"].map(bucket),
            ["1", "2", "2", "3", "3", "4"]
        );
        assert_eq!(
            value("emovox_request_seconds_sum{route=\"/v1/predict\"}"),
            "60.111"
        );
        assert_eq!(
            value("emovox_request_seconds_count{route=\"/v1/predict\"}"),
            "4"
        );
        assert_eq!(
            value("emovox_requests_total{route=\"/v1/predict\",status=\"200\"}"),
            "4"
        );
    }

    #[test]
    fn the_name_of_a_model_cannot_break_a_line() {
        let text = Metrics::default().text("a\"b\\c\nd", &[]);
        assert!(text.contains("model=\"a\\\"b\\\\c\\nd\"} 1\n"), "{text}");
    }
}
