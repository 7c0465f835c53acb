"""JupyterLab in a browser without a screen: what its tests and the pictures of the documentation drive."""
