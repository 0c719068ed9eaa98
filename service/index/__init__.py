"""Search of unit vectors by inner product, with FAISS: flat while there are few, IVF beyond.

Works on row ids (`service.row_ids`) and vectors; the library knows which clips these are. The only
package that imports faiss.
"""
