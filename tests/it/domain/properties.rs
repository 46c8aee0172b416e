//! Properties that hold for any policy within bounds, any facts and any order of clocks.
