//! Sparklines and bars of text.

use crate::console::theme::Glyphs;

/// Draws the last `width` points as steps between zero and the largest.
pub(crate) fn spark(points: &[f64], width: usize, glyphs: Glyphs) -> String {
    let steps = glyphs.spark();
    let shown = &points[points.len().saturating_sub(width)..];
    let max = shown.iter().copied().filter(|value| value.is_finite()).fold(0.0_f64, f64::max);
    let step = |value: &f64| {
        if max <= 0.0 || !value.is_finite() || *value <= 0.0 {
            return steps[0];
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
        let index = (value / max * 7.0).ceil() as usize;
        steps[index.min(7)]
    };
    shown.iter().map(step).collect()
}

/// Draws a bar of `width` cells of which a share of `done / all` is full.
pub(crate) fn bar(done: u64, all: u64, width: u16, glyphs: Glyphs) -> String {
    let (full, empty) = (glyphs.pick("█", "#"), glyphs.pick("░", "."));
    let cells = (u64::from(width) * done.min(all)).checked_div(all).unwrap_or(0);
    (0..u64::from(width)).map(|cell| if cell < cells { full } else { empty }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_become_steps() {
        let glyphs = Glyphs::new(false);
        assert_eq!(spark(&[0.0, 1.0, 4.0, 8.0], 8, glyphs), "▁▂▅█");
        assert_eq!(spark(&[9.0, 0.0, 0.0], 2, glyphs), "▁▁");
        assert_eq!(spark(&[f64::NAN, f64::INFINITY, 1.0], 8, glyphs), "▁▁█");
        assert_eq!(bar(1, 2, 4, glyphs), "██░░");
        assert_eq!(bar(0, 0, 2, Glyphs::new(true)), "..");
    }
}
