"""What all pages share: how they are rendered, their style, their charts as SVG, and the picture of a home."""
