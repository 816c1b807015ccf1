//! Where things are on the screen: used for drawing, and to find out what was clicked.

use ratatui::layout::Rect;

use crate::console::action::Kind;
use crate::console::app::App;

/// Below this nothing useful can be shown.
pub(crate) const WIDTH_MIN: u16 = 60;
/// Below this nothing useful can be shown.
pub(crate) const HEIGHT_MIN: u16 = 15;

/// Lines below the overview's list: the totals.
pub(crate) const TOTALS_HEIGHT: u16 = 5;

/// The parts of the screen, from the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Areas {
    /// Project, locations, place.
    pub(crate) header: Rect,
    /// The way to the screen; counts and age.
    pub(crate) crumbs: Rect,
    /// The screen itself.
    pub(crate) body: Rect,
    /// What is said or typed.
    pub(crate) line: Rect,
    /// Hints.
    pub(crate) hints: Rect,
}

/// Tells whether the terminal is too small.
pub(crate) fn too_small(size: (u16, u16)) -> bool {
    size.0 < WIDTH_MIN || size.1 < HEIGHT_MIN
}

/// Divides the screen.
pub(crate) fn areas(size: (u16, u16)) -> Areas {
    let (width, height) = size;
    let row = |y: u16| Rect { x: 0, y: y.min(height), width, height: u16::from(y < height) };
    let body_height = height.saturating_sub(4);
    Areas {
        header: row(0),
        crumbs: row(1),
        body: Rect { x: 0, y: 2.min(height), width, height: body_height },
        line: row(height.saturating_sub(2)),
        hints: row(height.saturating_sub(1)),
    }
}

/// Returns the area of a screen's table, its heading included.
pub(crate) fn table_area(app: &App) -> Rect {
    let body = areas(app.size()).body;
    if app.screen().kind() == Kind::Overview {
        let rows = app.screen().table().map_or(0, crate::console::app::Table::len);
        let wanted = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(3).max(5);
        let height = wanted.min(body.height.saturating_sub(TOTALS_HEIGHT));
        // Within the border.
        return Rect { x: 1, y: body.y + 1, width: body.width.saturating_sub(2), height: height.saturating_sub(2) };
    }
    body
}

/// Returns the area of a screen's rows, or of the lines of its text.
pub(crate) fn rows_area(app: &App) -> Rect {
    if app.screen().table().is_some() {
        let area = table_area(app);
        return Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    }
    crate::console::view::detail_lines_area(app)
}
