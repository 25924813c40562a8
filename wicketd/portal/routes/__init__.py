"""The handlers of the portal's pages, one module a page or a family of them."""
