"""One module for each page: its address and its layout. Pages hold no data; parts fetch it."""
