"""Reading, writing, converting and resampling images: what data, metrics and Y-channel networks share."""
