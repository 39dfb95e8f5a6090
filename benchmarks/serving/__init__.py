"""What a prediction over HTTP costs beside a bare server, BentoML's default and MLflow's; memory a model; the catalogue over HTTP."""
