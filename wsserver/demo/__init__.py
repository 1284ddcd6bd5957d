"""The demonstration: a real ECG, simulated patients who replay it, and the page that draws them."""
