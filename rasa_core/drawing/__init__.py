"""Stories and figures as drawings: graph layout and SVG."""
